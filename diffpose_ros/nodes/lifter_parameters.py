"""The lifter node's parameters, and the settings that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffpose_ros.lifting import CHOICES, LifterConfig, check_prompt
from diffpose_ros.ros.camera_info import RECTIFIED
from diffpose_ros.ros.depth import SPECS as DEPTH_SPECS
from diffpose_ros.ros.gravity import SPECS as GRAVITY_SPECS
from diffpose_ros.ros.gravity import source_of
from diffpose_ros.ros.parameters import Spec

SPECS = (
    Spec("model", str, "Lifter model: the name of a shipped model, or the path of an .onnx file.",
         fixed=True),
    Spec("backend", str, "Runtime of the model; auto: the best that works here.",
         choices=CHOICES["backend"], fixed=True),
    Spec("threads", int, "Threads of the model. More than one is slower on a busy machine.", 1, 64,
         fixed=True),
    Spec("hypotheses", int, "Poses sampled per person; 0: the model's default.", 0, 100,
         fixed=True),
    Spec("steps", int, "Denoising steps; 0: the model's default.", 0, 50, fixed=True),
    Spec("guidance", bool, "Guide the sampler by reprojection, symmetry and bone lengths (STPG).",
         fixed=True),
    Spec("refine", bool, "Move each pose towards the rays of its keypoints, weighted by the "
         "covariances of both.", fixed=True),
    Spec("reduce", str, "How the hypotheses become one pose; jpma is for comparison with papers.",
         choices=CHOICES["reduce"], fixed=True),
    Spec("prompt", str, "What is known of people, for model finepose: 'action: walking' for everyone, "
         "'; 3: lying' for track 3; empty: inferred."),
    Spec("provider", str, "Execution provider of ONNX Runtime.",
         choices=CHOICES["provider"], fixed=True),
    Spec("precision", str, "Arithmetic of accelerators.", choices=CHOICES["precision"],
         fixed=True),
    Spec("window", int, "Frames of context per person; 0: the model's default.", 0, 243,
         fixed=True),
    Spec("max_people", int, "Largest number of people lifted per frame; more take turns.", 1, 100,
         fixed=True),
    Spec("max_tracks", int, "Largest number of people remembered, best scores first; others are left out.", 1,
         1000, fixed=True),
    Spec("max_gap_s", float, "A person unseen for longer starts without history, s.", 0.05, 60.0,
         fixed=True),
    Spec("person_height", float,
         "Body height of everyone in view, m, 0.4 to 2.8; makes the root metric. 0: the body prior.",
         0.0, 2.8, fixed=True),
    Spec("person_height_stddev", float,
         "Standard deviation of person_height, m. The larger, the sooner depth and floor overrule it.",
         0.001, 1.0, fixed=True),
    Spec("deadline_ms", float,
         "Time limit per frame, ms: first fewer hypotheses, then fewer steps, then turns. 0: none.",
         0.0, 1000.0),
    Spec("rectified", str,
         "Whether images are rectified (P applies) or raw (K, D and R apply); auto: from their "
         "topic and camera_info.", choices=RECTIFIED),
    Spec("frame_id", str, "Optical frame of the camera; empty: that of the images."),
    Spec("target_frame", str,
         "Frame in which skeletons are published, through tf2; empty: the camera's.", fixed=True),
    Spec("transform_timeout_s", float, "How long to wait for target_frame's transform, s.", 0.0, 2.0),
    Spec("frame_prefix", str,
         "Prefix of body frames; auto: the namespace, unless it is diffpose.", fixed=True),
    *GRAVITY_SPECS,
    *DEPTH_SPECS,
)  # fmt: skip


def lifter_config(values: Mapping[str, Any]) -> LifterConfig:
    """The lifter's configuration from the node's parameters; zeros mean "not given"."""
    return LifterConfig(
        model=values["model"],
        backend=values["backend"],
        threads=values["threads"],
        hypotheses=values["hypotheses"] or None,
        steps=values["steps"] or None,
        guidance=values["guidance"],
        refine=values["refine"],
        reduce=values["reduce"],
        prompt=values["prompt"],
        provider=values["provider"],
        precision=values["precision"],
        window=values["window"] or None,
        max_people=values["max_people"],
        max_tracks=values["max_tracks"],
        max_gap_s=values["max_gap_s"],
        person_height=values["person_height"] or None,
        person_height_stddev=values["person_height_stddev"],
        estimate_gravity=source_of(values) == "people",
        deadline_s=values["deadline_ms"] / 1e3 or None,
    )


def check(values: Mapping[str, Any]) -> None:
    """Raise ConfigError when the values do not fit together."""
    lifter_config(values)
    check_prompt(values["model"], values["prompt"])
    source_of(values)
