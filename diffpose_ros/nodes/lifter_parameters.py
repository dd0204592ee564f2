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
    Spec("model", str, "Lifter model: a name of the package, or the path of an .onnx file.",
         fixed=True),
    Spec("backend", str, "What runs the model; auto takes the best that works here.",
         choices=CHOICES["backend"], fixed=True),
    Spec("threads", int, "Threads of the model; more than one is slower on a busy machine.", 1, 64,
         fixed=True),
    Spec("hypotheses", int, "Poses sampled per person; 0: what the model was made for.", 0, 100,
         fixed=True),
    Spec("steps", int, "Denoising steps; 0: what the model was made for.", 0, 50, fixed=True),
    Spec("guidance", bool, "Guide the sampler by reprojection, symmetry and bone lengths (STPG).",
         fixed=True),
    Spec("refine", bool, "Move each pose towards the rays of its keypoints, as far as both are to be "
         "believed.", fixed=True),
    Spec("reduce", str, "How one pose is made of the hypotheses; jpma is for comparison with papers.",
         choices=CHOICES["reduce"], fixed=True),
    Spec("prompt", str, "What is known of people, for model finepose: 'action: walking' of everyone, "
         "'; 3: lying' of a track; empty: it is worked out."),
    Spec("provider", str, "Execution provider of ONNX Runtime.",
         choices=CHOICES["provider"], fixed=True),
    Spec("precision", str, "Arithmetic of accelerators.", choices=CHOICES["precision"],
         fixed=True),
    Spec("window", int, "Frames of context per person; 0: what the model was made for.", 0, 243,
         fixed=True),
    Spec("max_people", int, "Most people lifted per frame; more take turns.", 1, 100,
         fixed=True),
    Spec("max_tracks", int, "Most people remembered; more are left out, best scores first.", 1,
         1000, fixed=True),
    Spec("max_gap_s", float, "A person unseen for longer starts anew, s.", 0.05, 60.0,
         fixed=True),
    Spec("person_height", float,
         "Body height of the people, m, 0.4 to 2.8; makes the root metric. 0: the body prior.",
         0.0, 2.8, fixed=True),
    Spec("person_height_stddev", float,
         "How sure person_height is, m, one sigma; depth and the floor overrule it the sooner, the larger.",
         0.001, 1.0, fixed=True),
    Spec("deadline_ms", float,
         "Time for lifting one frame, ms: hypotheses, then steps, then people are cut. 0: none.",
         0.0, 1000.0),
    Spec("rectified", str,
         "Whether images are rectified (P counts) or raw (K, D and R do); auto: as their topic and "
         "camera_info say.", choices=RECTIFIED),
    Spec("frame_id", str, "Optical frame of the camera, instead of the images' own; empty: theirs."),
    Spec("target_frame", str,
         "Frame in which skeletons are published, through tf2; empty: that of the camera.", fixed=True),
    Spec("transform_timeout_s", float, "How long to wait for target_frame's transform, s.", 0.0, 2.0),
    Spec("frame_prefix", str,
         "Stands before the names of body frames; auto: nothing in the namespace diffpose, otherwise the "
         "namespace.", fixed=True),
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
