"""The model card of a ZeDO model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from diffpose_ros.data.clips import Clip
from diffpose_ros.methods.zedo.network import Zedo
from diffpose_ros.training.model_card import StageLog, left_out, licence_of, trained
from diffpose_ros.training.recipe import Recipe


def zedo_card(
    recipe: Recipe,
    network: Zedo,
    calibration: Mapping[str, float],
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
    assert recipe.zedo is not None
    loop, prior = network.config.loop, network.config.prior
    run = recipe.zedo.runs[-1]
    minutes = sum(len(c) / c.fps for c in clips) / 60
    people = len({c.subject for c in clips})
    judged = int(calibration["held_out_clips"])
    lines = [
        f"# {recipe.name}", "",
        "A lifter after ZeDO (Jiang et al., 2023). For each person and frame, it optimises the pose to fit "
        "the rays of the keypoints under a pose prior. It turns COCO-17 keypoints into an H36M-17 skeleton "
        "with covariance.",
        "",
        "## What it is",
        f"- A score network of {sum(p.numel() for p in network.prior.parameters()):,} parameters: "
        f"{prior.width} wide, {prior.blocks} blocks; sub-VP SDE, beta {prior.sde.beta_min:g} to "
        f"{prior.sde.beta_max:g}.",
        f"- {network.config.anchors} anchor poses (k-means), {loop.hypotheses} hypotheses, "
        f"{loop.unrolled * loop.runs} iterations per frame, {loop.unrolled} in the graph. Each frame starts "
        "where the last one ended. The translation has a closed form, and the body's size is fixed.", "",
        "## Training",
        f"- Data: {', '.join(Path(d).name for d in recipe.data)}: {len(clips)} clips, {minutes:.0f} minutes "
        f"of {people} people, as single poses relative to the hip, scaled to one size, mirrored, rotated "
        "about the vertical and tilted. No camera, no keypoints, no photographs.",
        *left_out(recipe),
    ]  # fmt: skip
    lines += trained(logs)
    o = run.optimiser
    lines += [
        f"- Last run: batches of {o.batch} poses, AdamW {o.learning_rate:g} with a cosine, float32, "
        f"seed {o.seed}.", "",
        "## Calibration",
        f"- {int(calibration['views'])} virtual views of "
        f"{f'{judged} held-out clips' if judged else 'the clips trained on'} with a middling simulated "
        f"detector: MPJPE {calibration['mpjpe_mm']:.1f} mm; {100 * calibration['coverage_before']:.0f} % of "
        f"coordinates within one sigma of the plain spread, {100 * calibration['coverage_after']:.0f} % "
        "after calibration. Only the covariance is fitted on these views.", "",
        "## Scores",
        f"Not evaluated yet: run `diffpose_ros evaluate --data FILE.npz --model {recipe.name}`.", "",
        "## Limits",
        f"- Trained on the poses of {people} people. Expect larger errors for other poses.",
        "- Every body has the same size. The absolute position of a child is wrong without `person_height` "
        "or a known floor.",
        "- Not for medical, biometric or safety-certified use.", "",
        "## Licence", "Weights: Apache-2.0. " + licence_of(clips), "",
    ]  # fmt: skip
    return "\n".join(lines)
