"""The model card of a UniHPR model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffpose_ros.data.clips import Clip
from diffpose_ros.methods.unihpr.network import UniHpr
from diffpose_ros.training.model_card import StageLog, left_out, licence_of, trained
from diffpose_ros.training.recipe import Recipe


def unihpr_card(
    recipe: Recipe,
    network: UniHpr,
    results: Mapping[str, Mapping[str, Any]],
    *,
    context: str,
    logs: Iterable[StageLog],
    clips: Sequence[Clip],
) -> str:
    """The card's text (Markdown).

    Args:
        recipe: how it was made.
        network: what it is made of.
        results: what the stages ``calibration`` and ``pictures`` found out.
        context: where the context encoder comes from.
        logs: of the stages that trained.
        clips: what was learnt from.
    """
    assert recipe.unihpr is not None
    section, config, measured = recipe.unihpr, network.config, results["calibration"]
    sizes, decoder = config.embedding, config.decoder
    minutes = sum(len(c) / c.fps for c in clips) / 60
    people = len({c.subject for c in clips})
    held = int(measured["held_out_clips"])
    views = section.views
    count = {
        n: sum(p.numel() for p in part.parameters())
        for n, part in (
            ("context", network.context), ("keypoints", network.keypoints),
            ("skeletons", network.skeletons), ("decoder", network.decoder),
        )
    }  # fmt: skip
    lines = [
        f"# {recipe.name}", "",
        "One embedding of keypoints, skeletons"
        + (" and pictures" if network.pictures is not None else "")
        + " after UniHPR (Jiang et al.), and a diffusion decoder that turns it back into poses. It turns "
        "COCO-17 keypoints into an embedding and an H36M-17 skeleton with covariance, one frame at a "
        "time.", "",
        "## What it is",
        f"- An embedding of {sizes.size} numbers. The first {sizes.body} describe the pose, whoever sees it; "
        f"the other {sizes.turn} describe how the body is turned relative to the viewer.",
        f"- Keypoints: a window of {config.context.window} frames through the context encoder of "
        f"`{context}` ({count['context']:,} parameters, frozen). A head ({count['keypoints']:,}) "
        "turns its lifted pose and token into the embedding. The paper has a transformer on plain 2D "
        "instead.",
        f"- Skeletons: one pose ({count['skeletons']:,} parameters); the body part sees it only in "
        "the body's own axes.",
        f"- Decoder: {count['decoder']:,} parameters, {decoder.hypotheses} hypotheses, {decoder.steps} DDIM "
        f"steps of {decoder.schedule.diffusion_steps} ({decoder.schedule.beta_schedule}), predicts x_0 from "
        "embedding, time and a token for the source.", "",
        "## Training",
        f"- Data: {', '.join(Path(d).name for d in recipe.data)}: {len(clips)} clips, {minutes:.0f} minutes "
        f"of {people} people, as up to {views.batches * views.segments:,} segments seen by two virtual "
        "cameras with simulated detectors each.",
        *left_out(recipe),
        f"- InfoNCE of pairs and of triplets' largest eigenvalue (alpha {section.loss.triplet:g}); the "
        "lifted pose is the third representation until pictures are added.",
    ]  # fmt: skip
    lines += trained(logs)
    lines += [
        "", "## On held-out views",
        f"{'Of' if held else 'Not held out: of'} {held or 'the'} clips, through virtual cameras with a "
        f"middling simulated detector, {measured['poses']:,} poses:", "",
        f"- keypoints find their skeleton: R@1 {measured['r1']:.2f}, R@10 {measured['r10']:.2f} (whole "
        f"embedding); {measured['r1_body']:.2f}, {measured['r10_body']:.2f} (body part);",
        f"- MPJPE {measured['mpjpe_mm']:.1f} mm from embeddings of keypoints (the context encoder itself: "
        f"{measured['lifted_mpjpe_mm']:.1f}), {measured['from_skeleton_mm']:.1f} from those of true "
        "skeletons;",
        f"- {100 * measured['coverage_before']:.0f} % of coordinates within the context encoder's sigma, "
        f"{100 * measured['coverage_after']:.0f} % within the scaled one.", "",
    ]  # fmt: skip
    pictures = results.get("pictures", {})
    if pictures:
        lines += [
            "## Pictures",
            f"{int(pictures['pictures'])} rendered pictures of builds left out, among "
            f"{int(pictures['poses']):,} skeletons: R@1 {pictures['r1']:.2f}, R@10 "
            f"{pictures['r10']:.2f} (whole embedding to true skeletons); {pictures['r1_body']:.2f}, "
            f"{pictures['r10_body']:.2f} (body part).", "",
        ]  # fmt: skip
    lines += [
        "## Scores",
        f"Not evaluated yet: run `diffpose_ros evaluate --data FILE.npz --model {recipe.name}` and "
        "`diffpose_ros evaluate ... --retrieval`.", "",
        "## Limits",
        f"- Trained on the poses of {people} people. Expect worse search results and larger errors for "
        "others.",
        "- Poses are decoded from the embedding alone: as a lifter it is less accurate than `starpose`.",
        *([] if pictures else ["- No picture encoder, which needs features of pictures with known poses."]),
        "- Not for medical, biometric or safety-certified use.", "",
        "## Licence", "Weights: Apache-2.0. " + licence_of(clips), "",
    ]  # fmt: skip
    return "\n".join(lines)
