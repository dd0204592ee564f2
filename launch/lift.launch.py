"""Images in, 3D skeletons out: keypoints, lifter and markers; a video and RViz on request.

    ros2 launch diffpose_ros lift.launch.py image:=/cam/image_raw camera_info:=/cam/camera_info
    ros2 launch diffpose_ros lift.launch.py video:=people.mp4 rviz:=true
    ros2 launch diffpose_ros lift.launch.py image:=/cam/image_raw single_process:=true respawn:=true

Node parameters have their defaults in the package's config folder alone. An argument that is left
empty overrides nothing; ``params_file`` overrides the config, other arguments override both.
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
        description="Image topic; its compressed form is this name with /compressed behind it.",
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
        description="Read compressed images; empty: as configured, and with video: true.",
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
        description="What runs the lifter; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "refine",
        default_value="",
        choices=["", *BOOLS],
        description="Whether poses are moved towards the rays of their keypoints; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "person_height",
        default_value="",
        description="Height of the people in metres, makes the scale metric; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "rectified",
        default_value="",
        choices=["", "auto", *BOOLS],
        description="Whether images are rectified (P of camera_info counts); empty: as configured.",
    ),
    DeclareLaunchArgument(
        "frame_id",
        default_value="",
        description="Optical frame of the camera instead of the images' own; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "target_frame",
        default_value="",
        description="Frame to publish skeletons in, through tf2, e.g. base_link; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "frame_prefix",
        default_value="",
        description="Stands before the names of body frames; empty: as configured (the namespace, "
        "unless it is diffpose).",
    ),
    DeclareLaunchArgument(
        "gravity",
        default_value="",
        choices=["", "auto", "none", "angles", "tf", "imu", "people"],
        description="What tells which way is up; people: learnt from those who walk before a camera that "
        "does not move. Empty: as configured, or as the following say.",
    ),
    DeclareLaunchArgument(
        "gravity_frame",
        default_value="",
        description="Frame whose z axis points up and whose plane z = 0 is the floor, through tf2, e.g. "
        "base_footprint; people then stand on the floor. Empty: as configured.",
    ),
    DeclareLaunchArgument(
        "imu",
        default_value="",
        description="Topic of a sensor_msgs/Imu on the camera, which tells gravity; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "camera_pitch_deg",
        default_value="",
        description="How far a fixed camera looks down, degrees (0: level); empty: as configured.",
    ),
    DeclareLaunchArgument(
        "camera_roll_deg",
        default_value="",
        description="How far its right side is lower than its left, degrees; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "camera_height",
        default_value="",
        description="Height of the camera over the floor, metres; empty: as configured.",
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
        description="Run all nodes in one process; images stay in it and are not compressed.",
    ),
    DeclareLaunchArgument(
        "respawn",
        default_value="false",
        choices=BOOLS,
        description="Start a node again, two seconds after it died.",
    ),
    DeclareLaunchArgument(
        "hri",
        default_value="false",
        choices=BOOLS,
        description="Publish people as REP-155 (ROS4HRI) wants them, too: /humans/bodies/...",
    ),
    DeclareLaunchArgument(
        "pose_search",
        default_value="false",
        choices=BOOLS,
        description="Say what people do, of the poses and motions that were taught, too.",
    ),
    DeclareLaunchArgument(
        "gallery",
        default_value="",
        description="File of the taught poses, with pose_search:=true; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "standard",
        default_value="false",
        choices=BOOLS,
        description="Publish people as vision_msgs, geometry_msgs and people_msgs, too.",
    ),
    DeclareLaunchArgument(
        "rviz",
        default_value="false",
        choices=BOOLS,
        description="Start RViz with image, overlay and skeletons; without rviz2 a line says so.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="",
        choices=["", *BOOLS],
        description="Take time from /clock, e.g. when a bag plays; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Least severity that is logged.",
    ),
]


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the nodes."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=pipeline)])


def pipeline(context: LaunchContext) -> list:
    """The nodes, with the parameters that were asked for.

    Raises:
        ConfigError: an argument is wrong; nothing has started.
    """
    get = context.launch_configurations.__getitem__
    launching.parameter_file(get("params_file"))
    alone = get("single_process") == "true"
    if get("video") and not get("compressed") and not alone:
        # JPEGs arrive whole with every middleware and its settings
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
    """What tells gravity and the camera's height; a pitch of 0 that was given is one that is known."""
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
    """What every process of ours is started with."""
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
    """RViz when asked for; without it the nodes run all the same."""
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
