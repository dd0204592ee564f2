"""A video file, image folder or webcam as a camera; lift.launch.py includes it with ``video:=``.

ros2 launch diffpose_ros video_source.launch.py video:=people.mp4
"""

import os

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import TextSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from diffpose_ros.ros import launching

BOOLS = ["", "true", "false"]
ARGUMENTS = [
    DeclareLaunchArgument("video", description="Video file, image folder or webcam number."),
    DeclareLaunchArgument(
        "camera_file",
        default_value="",
        description="Calibration file of the video's camera (ROS, Kalibr, OpenCV); empty: as configured.",
    ),
    DeclareLaunchArgument(
        "loop",
        default_value="",
        choices=BOOLS,
        description="Restart at the video's end; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "compressed",
        default_value="",
        choices=[*BOOLS, "both"],
        description="Publish compressed images instead of raw ones, or both; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "frame_id", default_value="", description="Optical frame of the camera; empty: as configured."
    ),
    DeclareLaunchArgument("namespace", default_value="diffpose", description="Namespace."),
    DeclareLaunchArgument("image", default_value="image_raw", description="Image topic."),
    DeclareLaunchArgument(
        "camera_info", default_value="camera_info", description="Topic of the calibration."
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value="",
        description="ROS parameter file; empty: the package's own defaults.",
    ),
    DeclareLaunchArgument(
        "respawn",
        default_value="false",
        choices=BOOLS[1:],
        description="Restart the node two seconds after it dies.",
    ),
    DeclareLaunchArgument("log_level", default_value="info", description="Lowest severity that is logged."),
]


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the node."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=video_source)])


def video_source(context: LaunchContext) -> list[Node]:
    """The node, with the given parameters.

    It never takes time from /clock: it is a camera, and in a simulation there is another one.
    """
    get = context.launch_configurations.__getitem__
    given = {
        "source": (get("video"), str),
        "camera_file": (get("camera_file"), str),
        "loop": (get("loop"), bool),
        "frame_id": (get("frame_id"), str),
        "compressed": ({"both": "true"}.get(get("compressed"), get("compressed")), bool),
        "raw": ({"true": "false", "false": "true", "both": "true"}.get(get("compressed"), ""), bool),
    }
    image = launching.topic("image", get("image"))
    values = {k: ParameterValue(TextSubstitution(text=v), value_type=t) for k, (v, t) in given.items() if v}
    files = launching.parameter_file(get("params_file"))
    node = Node(
        package="diffpose_ros",
        executable="video_source_node",
        name="video_source",
        namespace=get("namespace"),
        parameters=[*map(ParameterFile, files), values],
        remappings=[
            ("image_raw", image),
            ("image_raw/compressed", f"{image}/compressed"),
            ("camera_info", launching.topic("camera_info", get("camera_info"))),
        ],
        ros_arguments=["--log-level", get("log_level")],
        additional_env=launching.transport_environment(os.environ),
        respawn=get("respawn") == "true",
        respawn_delay=2.0,
        output="screen",
    )
    return [node]
