"""The model card of a FinePOSE model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffpose_ros.data.clips import Clip
from diffpose_ros.methods.finepose.network import FinePoseNetwork
from diffpose_ros.training.model_card import StageLog, left_out, licence_of, trained
from diffpose_ros.training.recipe import Recipe


def finepose_card(
    recipe: Recipe,
    network: FinePoseNetwork,
    calibration: Mapping[str, Any],
    *,
    logs: Iterable[StageLog],
    clips: Sequence[Clip],
) -> str:
    """The card's text (Markdown).

    Args:
        recipe: how it was made.
        network: what it is made of.
        calibration: what calibration measured, and on how much.
        logs: of the stages that trained.
        clips: what was learnt from.
    """
    section = recipe.finepose
    assert section is not None
    config, prompts, run = network.config, network.prompts, section.runs[-1]
    minutes = sum(len(c) / c.fps for c in clips) / 60
    people = len({c.subject for c in clips})
    judged = int(calibration["held_out_clips"])
    tokens = len(prompts.words) * (prompts.tokens + prompts.modifiers)
    views = section.views
    lines = [
        f"# {recipe.name}", "",
        "A causal, streaming lifter after FinePOSE (Xu et al., CVPR 2024). It turns COCO-17 keypoints of one "
        "person into an H36M-17 skeleton with covariance. Prompts say what is known of the person.", "",
        "## What it is",
        f"- {sum(p.numel() for p in network.parameters()):,} parameters. The context encoder is that of "
        f"`{section.start}`, frozen; it replaces the paper's temporal transformers.",
        f"- Denoiser {config.denoiser.width} wide, {config.denoiser.depth} blocks, each with cross-attention "
        f"to {tokens} tokens of {len(prompts.words)} prompts ({', '.join(prompts.words)}) and their "
        "modulation of the step. A table in the checkpoint replaces the text encoder; its learnable tokens "
        "get gradients.",
        f"- {config.hypotheses} hypotheses, {config.steps} DDIM steps of {config.schedule.diffusion_steps}, "
        f"{config.schedule.beta_schedule} schedule, from a Gaussian; predicts x_0.",
        "- Prompts that are not given are inferred: the action by a small head on the encoder's features, "
        "the speed from the track, the visible parts from the keypoints' scores.",
        "- Actions: " + ", ".join(prompts.words.get("action", ())) + ".", "",
        "## Training",
        f"- Data: {', '.join(Path(d).name for d in recipe.data)}: {len(clips)} clips, {minutes:.0f} minutes "
        f"of {people} people, seen through random virtual cameras with a simulated detector; no photographs, "
        f"no other data. {views.batches} batches of {views.batch} segments, the last {views.frames} frames "
        "of each, were encoded once. Actions come from the clips' names.",
        *left_out(recipe),
        f"- The denoiser starts from that of `{section.start}`.",
    ]  # fmt: skip
    lines += trained(logs)
    lines += [
        f"- Of the segments with a known action, {100 * run.told:.0f} % got it as a prompt, "
        f"{100 * run.believed:.0f} % got the network's estimate, and the rest got nothing.", "",
        "## Calibration",
        f"- On virtual views of {f'{judged} held-out clips' if judged else 'the clips trained on'} with a "
        f"middling simulated detector: MPJPE {calibration['mpjpe_mm']:.1f} mm; "
        f"{100 * calibration['coverage_before']:.0f} % of coordinates within one sigma before scaling, "
        f"{100 * calibration['coverage_after']:.0f} % after.", "",
        "## What prompts are worth",
        *_gains(calibration.get("gains", [])), "",
        "## Scores",
        f"Not evaluated yet: run `diffpose_ros evaluate --data FILE.npz --model {recipe.name}`.", "",
        "## Limits",
        f"- Trained on the motions of {people} people. Expect larger errors for other motions, with any "
        "prompt.",
        "- Stature comes from a body prior. Absolute scale is about 5 % uncertain without `person_height`, a "
        "known floor or a depth image.",
        "- Not for medical, biometric or safety-certified use.", "",
        "## Licence", "Weights: Apache-2.0. " + licence_of(clips), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _gains(gains: Sequence[Mapping[str, Any]]) -> list[str]:
    if not gains:
        return ["Not measured: no labelled motions were held out."]
    lines = [
        "MPJPE of one step in mm on the same views, by prompt: nothing; everything inferred; the right "
        "action; a wrong action. Recognised: how often the network rates the true action highest.",
        "", "| action | frames | nothing | inferred | right | wrong | recognised |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for g in gains:
        cells = " | ".join(f"{g[name]:.1f}" for name in ("unknown", "believed", "right", "wrong"))
        lines.append(f"| {g['action']} | {g['frames']} | {cells} | {100 * g['recognised']:.0f} % |")
    return lines
