"""Model cards: what a checkpoint was trained on, for how long, and what it scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from diffpose_ros.data.clips import Clip
from diffpose_ros.methods.diffusion.network import LifterNetworkConfig
from diffpose_ros.training.build import pick_device
from diffpose_ros.training.precision import choose_precision
from diffpose_ros.training.recipe import Recipe

ACKNOWLEDGEMENTS = {
    "CMU": "The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217.",
    "ACCAD": "ACCAD Open Motion Project, The Ohio State University, CC BY 3.0.",
}
"""Mark in a clip's ``source`` -> what must be said of it."""

_PAPERS = {
    "diffpose": "DiffPose (Gong et al., CVPR 2023)",
    "starpose": "StarPose (Yang et al.), with the denoiser of DiffPose (Gong et al., CVPR 2023)",
}


def time_spent(log: Path) -> tuple[int, float]:
    """Steps and seconds in a run's ``log.jsonl``, over all its sittings."""
    steps, total, last = 0, 0.0, 0.0
    if not log.is_file():
        return 0, 0.0
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if entry["seconds"] < last:
            total += last
        last, steps = entry["seconds"], max(steps, int(entry["step"]))
    return steps, total + last


@dataclass(frozen=True)
class StageLog:
    """A stage that trained: its name and its ``log.jsonl``."""

    name: str
    log: Path


def licence_of(clips: Iterable[Clip]) -> str:
    """What must be said of the motion capture that weights were trained on."""
    sources = {c.source for c in clips}
    known = [text for mark, text in ACKNOWLEDGEMENTS.items() if any(mark in s for s in sources)]
    if any(not any(mark in s for mark in ACKNOWLEDGEMENTS) for s in sources):
        known.append("Some clips name no known source: check the terms of their data.")
    return " ".join(known)


def model_card(
    recipe: Recipe,
    network: LifterNetworkConfig,
    parameters: int,
    calibration: Mapping[str, float],
    *,
    logs: Iterable[StageLog],
    clips: Sequence[Clip],
    scores: dict[str, float] | None = None,
) -> str:
    """The card's text (Markdown).

    Args:
        recipe: how it was made.
        network: what it is made of.
        parameters: how many weights.
        calibration: what calibration measured, the fields of ``Calibration`` and ``held_out_clips``.
        logs: of the stages that trained.
        clips: what was learnt from.
        scores: results of ``evaluate``, where they are known.
    """
    assert recipe.lifter is not None
    name, last = recipe.name, recipe.lifter.runs[-1]
    o = last.optimiser
    threads = f"{o.threads or torch.get_num_threads()} CPU thread{'s' if o.threads != 1 else ''}"
    device = pick_device(o.device)
    where = "one GPU" if device.type == "cuda" else threads
    bfloat16, _ = choose_precision(o.precision, device)
    seen = network.context
    past = "frame-based"
    if seen.temporal:
        past = f"{seen.keys}-number keys per head, window of {seen.window} frames"
    past += ", mean of the answers for the image and its mirror image" if seen.mirror else ""
    people = len({c.subject for c in clips})
    judged = int(calibration.get("held_out_clips", 0))
    lines = [
        f"# {name}", "",
        f"A causal, streaming lifter after {_PAPERS[network.kind]}. It turns COCO-17 keypoints of one person "
        "into an H36M-17 skeleton with covariance, one frame at a time.", "",
        "## What it is",
        f"- {parameters:,} parameters; context encoder {network.context.body} wide, "
        f"{network.context.depth} blocks, {past}; denoiser "
        f"{network.denoiser.width} wide, {network.denoiser.depth} blocks"
        + (f"; history of {network.history.length} frames." if network.history else "."),
        f"- {network.hypotheses} hypotheses, {network.steps} DDIM steps of "
        f"{network.schedule.diffusion_steps} (alpha_K = {network.schedule.alphas()[-1]:.3f}), mixture of "
        f"{network.components}, predicts x_0.",
        f"- Guidance weights (reprojection, symmetry, bone length variance, differential variation): "
        f"{', '.join(f'{g:g}' for g in network.guidance)}.", "",
        "## Training",
        *data_lines(recipe, clips),
    ]  # fmt: skip
    lines += trained(logs)
    lines += [
        f"- Last stage: batches of {o.batch} clips of {last.synthesis.frames} frames, "
        f"{'Muon and AdamW' if o.optimiser == 'muon' else 'AdamW'} {o.learning_rate:g} with a cosine, "
        f"{'bfloat16' if bfloat16 else 'float32'}, seed {o.seed}, {where}.", "",
        "## Calibration",
        f"- On virtual views of {f'{judged} held-out clips' if judged else 'the clips trained on'}, not "
        f"drawn in training, with a middling simulated detector: MPJPE {calibration['mpjpe_mm']:.1f} mm; "
        f"{100 * calibration['coverage_before']:.0f} % of coordinates within one "
        f"sigma before scaling, {100 * calibration['coverage_after']:.0f} % after.", "",
        "## Scores",
    ]  # fmt: skip
    if scores:
        lines += [
            "Causal, `diffpose_ros evaluate` on 36 sequences of people not in the training data:",
            "",
        ]
        lines += [f"- {k}: {v:.3g}" for k, v in scores.items()]
    else:
        lines.append("Not evaluated yet: run `diffpose_ros evaluate --data FILE.npz --model " + name + "`.")
    lines += [
        "", "## Limits",
        f"- Trained on the motions of {people} people. Expect larger errors for other motions and other "
        "builds.",
        "- Stature comes from a body prior. Absolute scale is about 5 % uncertain without `person_height`, a "
        "known floor or a depth image.",
        "- Not for medical, biometric or safety-certified use.", "",
        "## Licence", "Weights: Apache-2.0. " + licence_of(clips), "",
    ]  # fmt: skip
    return "\n".join(lines)


def data_lines(recipe: Recipe, clips: Sequence[Clip]) -> list[str]:
    """Lines on what was learnt from, and what was not."""
    minutes = sum(len(c) / c.fps for c in clips) / 60
    people = len({c.subject for c in clips})
    return [
        f"- Data: {', '.join(Path(d).name for d in recipe.data)}: {len(clips)} clips, {minutes:.0f} minutes "
        f"of {people} people, seen through random virtual cameras with a simulated detector; no photographs, "
        "no other data.",
        *left_out(recipe),
    ]


def trained(logs: Iterable[StageLog]) -> list[str]:
    """Lines on how long each stage learnt; of those that did not, none."""
    spent = [(stage.name, *time_spent(stage.log)) for stage in logs]
    return [f"- {n}: {steps:,} steps, {seconds / 60:.0f} minutes." for n, steps, seconds in spent if steps]


def left_out(recipe: Recipe) -> list[str]:
    """Lines on what the recipe keeps out of training."""
    clips = recipe.clips
    parts = [
        (what, names)
        for what, names in (
            ("left out, sources", clips.leave_out_sources), ("held out, people", clips.hold_out_subjects),
            ("held out, actions", clips.hold_out_actions),
        )
        if names
    ]  # fmt: skip
    return ["- " + "; ".join(f"{what}: {', '.join(names)}" for what, names in parts) + "."] if parts else []
