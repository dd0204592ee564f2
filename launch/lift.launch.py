"""Images in, 3D skeletons out: keypoints, lifter and markers; optionally a video and RViz.

    ros2 launch diffpose_ros lift.launch.py image:=/cam/image_raw camera_info:=/cam/camera_info
    ros2 launch diffpose_ros lift.launch.py video:=people.mp4 rviz:=true
    ros2 launch diffpose_ros lift.launch.py image:=/cam/image_raw single_process:=true respawn:=true

The defaults of all node parameters are in the package's config folder. ``params_file`` overrides them,
and other arguments override both. An empty argument overrides nothing.
"""

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, LogInfo, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, TextSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from diffpose_ros.core.choices import DETECTORS
from diffpose_ros.ros import launching
from diffpose_ros.runtime.load import BACKEND_CHOICES

BOOLS = ["true", "false"]
ARGUMENTS = [
    DeclareLaunchArgument(
        "namespace", default_value="diffpose", description="Namespace of all nodes and topics."
    ),
    DeclareLaunchArgument(
        "image",
        default_value="image_raw",
        description="Image topic; compressed images are read from this name plus /compressed.",
    ),
    DeclareLaunchArgument(
        "camera_info",
        default_value="camera_info",
        description="Topic of the camera's calibration (sensor_msgs/CameraInfo).",
    ),
    DeclareLaunchArgument(
        "compressed",
        default_value="",
        choices=["", *BOOLS],
        description="Read compressed images; empty: as configured, or true with video.",
    ),
    DeclareLaunchArgument(
        "detector",
        default_value="",
        choices=["", *DETECTORS],
        description="2D detector; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "detector_model",
        default_value="",
        description="Weight file of the detector; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "model",
        default_value="",
        description="Lifter: a model of the package (`diffpose_ros models` lists them) or the path of an "
        ".onnx file; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "backend",
        default_value="",
        choices=["", *BACKEND_CHOICES],
        description="Runtime of the lifter; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "refine",
        default_value="",
        choices=["", *BOOLS],
        description="Move poses towards the rays of their keypoints; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "person_height",
        default_value="",
        description="Height of everyone in view, metres; makes the scale metric. Empty: as configured.",
    ),
    DeclareLaunchArgument(
        "rectified",
        default_value="",
        choices=["", "auto", *BOOLS],
        description="Whether images are rectified (P of camera_info applies); empty: as configured.",
    ),
    DeclareLaunchArgument(
        "frame_id",
        default_value="",
        description="Optical frame of the camera, instead of that of the images; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "target_frame",
        default_value="",
        description="Frame to publish skeletons in, through tf2, e.g. base_link; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "frame_prefix",
        default_value="",
        description="Prefix of body frames; empty: as configured (the namespace, unless it is diffpose).",
    ),
    DeclareLaunchArgument(
        "gravity",
        default_value="",
        choices=["", "auto", "none", "angles", "tf", "imu", "people"],
        description="Source of the up direction; people: learnt from people who walk in view of a fixed "
        "camera. Empty: as configured, or from the next arguments.",
    ),
    DeclareLaunchArgument(
        "gravity_frame",
        default_value="",
        description="Frame with z pointing up and the floor at z = 0, through tf2, e.g. base_footprint; "
        "people then stand on that floor. Empty: as configured.",
    ),
    DeclareLaunchArgument(
        "imu",
        default_value="",
        description="Topic of a sensor_msgs/Imu on the camera, for gravity; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "camera_pitch_deg",
        default_value="",
        description="How far a fixed camera looks down, degrees (0: level); empty: as configured.",
    ),
    DeclareLaunchArgument(
        "camera_roll_deg",
        default_value="",
        description="How far the camera's right side is lower than its left, degrees; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "camera_height",
        default_value="",
        description="Height of the camera above the floor, metres; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "depth",
        default_value="",
        description="Topic of a depth image, e.g. /camera/depth/image_rect_raw; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "depth_info",
        default_value="",
        description="Topic of the depth image's camera_info; empty: as configured (beside the image).",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value="",
        description="ROS parameter file for all nodes; empty: the package's own defaults.",
    ),
    DeclareLaunchArgument(
        "video",
        default_value="",
        description="Start video_source on this video file, image folder or webcam number.",
    ),
    DeclareLaunchArgument(
        "single_process",
        default_value="false",
        choices=BOOLS,
        description="Run all nodes in one process; the images of a video stay in it, uncompressed.",
    ),
    DeclareLaunchArgument(
        "respawn",
        default_value="false",
        choices=BOOLS,
        description="Restart a node two seconds after it dies.",
    ),
    DeclareLaunchArgument(
        "hri",
        default_value="false",
        choices=BOOLS,
        description="Also publish people as in REP-155 (ROS4HRI): /humans/bodies/...",
    ),
    DeclareLaunchArgument(
        "pose_search",
        default_value="false",
        choices=BOOLS,
        description="Also publish which taught poses and motions people do.",
    ),
    DeclareLaunchArgument(
        "gallery",
        default_value="",
        description="File of the taught poses, for pose_search:=true; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "standard",
        default_value="false",
        choices=BOOLS,
        description="Also publish people as vision_msgs, geometry_msgs and people_msgs.",
    ),
    DeclareLaunchArgument(
        "rviz",
        default_value="false",
        choices=BOOLS,
        description="Start RViz with image, overlay and skeletons; if rviz2 is missing, log that and go on.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="",
        choices=["", *BOOLS],
        description="Take time from /clock, e.g. while a bag plays; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Lowest severity that is logged.",
    ),
]


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the nodes."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=pipeline)])


def pipeline(context: LaunchContext) -> list:
    """The nodes, with the given parameters.

    Raises:
        ConfigError: an argument is wrong; nothing has started.
    """
    get = context.launch_configurations.__getitem__
    launching.parameter_file(get("params_file"))
    alone = get("single_process") == "true"
    if get("video") and not get("compressed") and not alone:
        # JPEGs are small enough for every middleware with its default settings
        context.launch_configurations["compressed"] = "both"
    transports = {"true": "compressed", "both": "compressed", "false": "raw"}
    clock = {"use_sim_time": (get("use_sim_time"), bool)}
    given = {
        "keypoints": {
            "detector": (get("detector"), str),
            "model": (get("detector_model"), str),
            "transport": (transports.get(get("compressed"), ""), str),
            **clock,
        },
        "lifter": {
            "model": (get("model"), str),
            "backend": (get("backend"), str),
            "refine": (get("refine"), bool),
            "person_height": (launching.number("person_height", get("person_height"), 0.0, 2.8), float),
            "rectified": (get("rectified"), str),
            "frame_id": (get("frame_id"), str),
            "target_frame": (get("target_frame"), str),
            "frame_prefix": (get("frame_prefix"), str),
            "depth": (launching.topic("depth", get("depth")), str),
            "depth_info": (launching.topic("depth_info", get("depth_info")), str),
            **camera_place(context),
            **clock,
        },
        "markers": clock,
        **{name: clock for name in ("hri", "standard") if get(name) == "true"},
    }
    if get("pose_search") == "true":
        given["pose_search"] = {"gallery": (get("gallery"), str), **clock}
    if alone:
        if get("video"):
            more = context.launch_configurations.get  # arguments of video_source.launch.py
            video = {
                "source": (get("video"), str),
                "camera_file": (more("camera_file", ""), str),
                "loop": (more("loop", ""), bool),
                "frame_id": (get("frame_id"), str),
            }
            given = {"video_source": video, **given}
        return [one_process(context, given), *rviz(context)]
    nodes = [node(context, name, parameters) for name, parameters in given.items()]
    if get("video"):
        nodes.append(include("video_source.launch.py", video=LaunchConfiguration("video")))
    return [*nodes, *rviz(context)]


def camera_place(context: LaunchContext) -> dict[str, tuple[str, type]]:
    """Parameters for gravity and the camera's height. A given pitch of 0 counts as known."""
    get = context.launch_configurations.__getitem__
    pitch = launching.number("camera_pitch_deg", get("camera_pitch_deg"), -90.0, 90.0)
    roll = launching.number("camera_roll_deg", get("camera_roll_deg"), -180.0, 180.0)
    chosen = get("gravity_frame") or get("imu")
    return {
        "gravity": (get("gravity") or ("angles" if pitch and not chosen else ""), str),
        "gravity_frame": (get("gravity_frame"), str),
        "imu": (launching.topic("imu", get("imu")), str),
        "camera_pitch_deg": (pitch, float),
        "camera_roll_deg": (roll, float),
        "camera_height": (launching.number("camera_height", get("camera_height"), 0.0, 50.0), float),
    }


def node(context: LaunchContext, name: str, given: dict[str, tuple[str, type]]) -> Node:
    """One node; it configures and activates itself (parameter ``autostart``).

    Args:
        context: for the values of the arguments.
        name: of the node; its executable is ``<name>_node``.
        given: parameter -> (value, type); an empty value overrides nothing.
    """
    values = {k: ParameterValue(TextSubstitution(text=v), value_type=t) for k, (v, t) in given.items() if v}
    files = launching.parameter_file(context.launch_configurations["params_file"])
    return Node(
        executable=f"{name}_node",
        name=name,
        parameters=[*map(ParameterFile, files), *([values] if values else [])],
        **common(context),
    )


def one_process(context: LaunchContext, given: dict[str, dict[str, tuple[str, type]]]) -> Node:
    """All nodes in one process.

    Args:
        context: for the values of the arguments.
        given: node -> parameter -> (value, type), in the order of the data's flow.
    """
    files = launching.parameter_file(context.launch_configurations["params_file"])
    own = launching.node_parameters_file(context.launch_configurations["namespace"], given)
    return Node(
        executable="pipeline",
        arguments=list(given),
        parameters=[*map(ParameterFile, (*files, own))],
        **common(context),
    )


def common(context: LaunchContext) -> dict:
    """Settings that every process starts with."""
    get = context.launch_configurations.__getitem__
    image = launching.topic("image", get("image"))
    return {
        "package": "diffpose_ros",
        "namespace": get("namespace"),
        "remappings": [
            ("image_raw", image),
            ("image_raw/compressed", f"{image}/compressed"),
            ("camera_info", launching.topic("camera_info", get("camera_info"))),
        ],
        "ros_arguments": ["--log-level", get("log_level")],
        "additional_env": launching.transport_environment(os.environ),
        "respawn": get("respawn") == "true",
        "respawn_delay": 2.0,
        "output": "screen",
    }


def rviz(context: LaunchContext) -> list:
    """RViz if asked for. Without rviz2 the nodes run all the same."""
    if context.launch_configurations["rviz"] != "true":
        return []
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        text = "rviz:=true, but rviz2 is not installed (package ros-<distro>-rviz2): going on without it"
        return [LogInfo(msg=text)]
    return [include("rviz.launch.py")]


def include(name: str, **arguments: LaunchConfiguration) -> IncludeLaunchDescription:
    """Another launch file of this folder; it sees this one's arguments."""
    source = PythonLaunchDescriptionSource(str(Path(__file__).parent / name))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())
