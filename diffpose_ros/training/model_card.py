"""Model cards: what a checkpoint was trained on, for how long, and what it scores."""

from __future__ import annotations

import json
from pathlib import Path

from diffpose_ros.methods.diffusion.network import LifterNetworkConfig
from diffpose_ros.training.build import pick_device
from diffpose_ros.training.calibration import Calibration
from diffpose_ros.training.config import TrainingConfig

ACKNOWLEDGEMENT = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217."
)
_PAPERS = {
    "diffpose": "DiffPose (Gong et al., CVPR 2023)",
    "starpose": "StarPose (Yang et al.) on the denoiser of DiffPose (Gong et al., CVPR 2023)",
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


def model_card(
    name: str,
    config: TrainingConfig,
    network: LifterNetworkConfig,
    parameters: int,
    calibration: Calibration,
    *,
    logs: dict[str, Path],
    scores: dict[str, float] | None = None,
) -> str:
    """The card's text (Markdown).

    Args:
        name: the model's name.
        config: how it was trained.
        network: what it is made of.
        parameters: how many weights.
        calibration: what calibration measured.
        logs: stage -> its ``log.jsonl``.
        scores: results of ``evaluate``, where they are known.
    """
    o = config.optimiser
    threads = f"{o.threads} CPU thread{'s' if o.threads > 1 else ''}"
    where = "one GPU" if pick_device(o.device).type == "cuda" else threads
    seen = network.context
    past = "frame-based"
    if seen.temporal:
        past = f"keys of {seen.keys} per head, window {seen.window} frames"
    past += ", mean of the answers for the image and its mirror image" if seen.mirror else ""
    lines = [
        f"# {name}", "",
        f"A causal, streaming lifter after {_PAPERS[network.kind]}: COCO-17 keypoints of one person "
        "to an H36M-17 skeleton with covariance, one frame at a time.", "",
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
        f"- Data: {Path(config.data).name}, motion capture seen through random virtual cameras with a "
        "simulated detector; no photographs, no other data.",
    ]  # fmt: skip
    for stage, log in logs.items():
        steps, seconds = time_spent(log)
        if steps:
            lines.append(f"- {stage}: {steps:,} steps, {seconds / 60:.0f} minutes.")
    lines += [
        f"- Last stage: batches of {o.batch} clips of {config.synthesis.frames} frames, "
        f"{'Muon and AdamW' if o.optimiser == 'muon' else 'AdamW'} {o.learning_rate:g} with a cosine, "
        f"{o.precision}, seed {o.seed}, {where}.", "",
        "## Calibration",
        f"- On held-out virtual views with a middling simulated detector: MPJPE "
        f"{calibration.mpjpe_mm:.1f} mm; {100 * calibration.coverage_before:.0f} % of coordinates within one "
        f"sigma before scaling, {100 * calibration.coverage_after:.0f} % after.", "",
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
        "- Ten bodies' motions: standing, walking, running, jumping, sports, gestures. Lying, crawling and "
        "heavily occluded people are rare or absent; expect larger errors there.",
        "- Stature comes from a body prior: absolute scale is about 5 % uncertain unless the user gives "
        "`person_height`.",
        "- Not for medical, biometric or safety-certified use.", "",
        "## Licence", "Weights: Apache-2.0. " + ACKNOWLEDGEMENT, "",
    ]  # fmt: skip
    return "\n".join(lines)
