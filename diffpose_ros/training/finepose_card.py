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
        "A causal, streaming lifter after FinePOSE (Xu et al., CVPR 2024): COCO-17 keypoints of one person "
        "to an H36M-17 skeleton with covariance, told by prompts what is known of the person.", "",
        "## What it is",
        f"- {sum(p.numel() for p in network.parameters()):,} parameters. The context encoder is that of "
        f"`{section.start}`, frozen; it stands for the paper's temporal transformers.",
        f"- Denoiser {config.denoiser.width} wide, {config.denoiser.depth} blocks, each with cross-attention "
        f"to {tokens} tokens of {len(prompts.words)} prompts ({', '.join(prompts.words)}) and their "
        "modulation of the step. A table in the checkpoint takes the place of a text encoder; the learnable "
        "tokens get gradients.",
        f"- {config.hypotheses} hypotheses, {config.steps} DDIM steps of {config.schedule.diffusion_steps}, "
        f"{config.schedule.beta_schedule} schedule, from a Gaussian; predicts x_0.",
        "- What is not told is worked out: the action by a small head on the encoder's features, the speed "
        "from the track, the parts in view from the keypoints' scores.",
        "- Actions: " + ", ".join(prompts.words.get("action", ())) + ".", "",
        "## Training",
        f"- Data: {', '.join(Path(d).name for d in recipe.data)}: {len(clips)} clips, {minutes:.0f} minutes "
        f"of {people} people, seen through random virtual cameras with a simulated detector; no photographs, "
        f"no other data. {views.batches} batches of {views.batch} segments, the last {views.frames} frames "
        "of each, were encoded once. Actions come from the clips' names.",
        *left_out(recipe),
        f"- The denoiser begins as that of `{section.start}`.",
    ]  # fmt: skip
    lines += trained(logs)
    lines += [
        f"- Of the segments whose action is known, {100 * run.told:.0f} % were told it and "
        f"{100 * run.believed:.0f} % what the network believed; the rest was told nothing.", "",
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
        f"- The motions of {people} people. What they do not do is lifted worse, whatever is told.",
        "- Stature comes from a body prior: absolute scale is about 5 % uncertain unless the user gives "
        "`person_height`.",
        "- Not for medical, biometric or safety-certified use.", "",
        "## Licence", "Weights: Apache-2.0. " + licence_of(clips), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _gains(gains: Sequence[Mapping[str, Any]]) -> list[str]:
    if not gains:
        return ["Not measured: no labelled motions were held out."]
    lines = [
        "MPJPE of one step in mm on the same views, by what is told: nothing; speed and parts in view, the "
        "action left to the network; the right action; a wrong one. Recognised: how often the network holds "
        "the action the most likely.",
        "", "| action | frames | nothing | worked out | right | wrong | recognised |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for g in gains:
        cells = " | ".join(f"{g[name]:.1f}" for name in ("unknown", "believed", "right", "wrong"))
        lines.append(f"| {g['action']} | {g['frames']} | {cells} | {100 * g['recognised']:.0f} % |")
    return lines
