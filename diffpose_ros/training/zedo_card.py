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
        "Optimises the pose of each person in each frame after ZeDO (Jiang et al., 2023): onto the rays of "
        "its keypoints, under a prior of poses. COCO-17 keypoints to an H36M-17 skeleton with covariance.",
        "",
        "## What it is",
        f"- A score network of {sum(p.numel() for p in network.prior.parameters()):,} parameters: "
        f"{prior.width} wide, {prior.blocks} blocks; sub-VP SDE, beta {prior.sde.beta_min:g} to "
        f"{prior.sde.beta_max:g}.",
        f"- {network.config.anchors} anchor poses (k-means), {loop.hypotheses} hypotheses, "
        f"{loop.unrolled * loop.runs} iterations per frame, {loop.unrolled} in the graph. Each frame begins "
        "where the last one ended. The translation is solved in closed form, the body's size is held.", "",
        "## Training",
        f"- Data: {', '.join(Path(d).name for d in recipe.data)}: {len(clips)} clips, {minutes:.0f} minutes "
        f"of {people} people, as single poses relative to the hip, of one size, mirrored, turned about the "
        "vertical and tilted. No camera, no keypoints, no photographs.",
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
        "after calibration. Only the covariance has seen these views.", "",
        "## Scores",
        f"Not evaluated yet: run `diffpose_ros evaluate --data FILE.npz --model {recipe.name}`.", "",
        "## Limits",
        f"- The poses of {people} people. Poses that they do not take are lifted worse.",
        "- Every body has the same size: the absolute place of a child is wrong unless the user gives "
        "`person_height` or the floor is known.",
        "- Not for medical, biometric or safety-certified use.", "",
        "## Licence", "Weights: Apache-2.0. " + licence_of(clips), "",
    ]  # fmt: skip
    return "\n".join(lines)
