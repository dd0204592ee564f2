"""Images in, 3D skeletons out: keypoints, lifter and markers; a video and RViz on request.

    ros2 launch diffpose_ros lift.launch.py image:=/cam/image_raw camera_info:=/cam/camera_info
    ros2 launch diffpose_ros lift.launch.py video:=people.mp4 rviz:=true

Node parameters have their defaults in the package's config folder alone. An argument that is left
empty overrides nothing; ``params_file`` overrides the config, other arguments override both.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, NotEqualsSubstitution, TextSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

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
        choices=["", "movenet", "ultralytics"],
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
        description="Lifter: a model of the package (diffpose, starpose) or the path of an .onnx "
        "file; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "backend",
        default_value="",
        choices=["", "auto", "onnxruntime", "openvino", "tensorrt", "torch"],
        description="What runs the lifter; empty: as configured.",
    ),
    DeclareLaunchArgument(
        "person_height",
        default_value="",
        description="Height of the people in metres, makes the scale metric; empty: as configured.",
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
        "rviz",
        default_value="false",
        choices=BOOLS,
        description="Start RViz with image, overlay and skeletons (needs rviz2).",
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
    here = Path(__file__).parent

    def include(name: str, condition) -> IncludeLaunchDescription:
        source = PythonLaunchDescriptionSource(str(here / name))
        video = {"video": LaunchConfiguration("video")}.items()
        return IncludeLaunchDescription(source, condition=condition, launch_arguments=video)

    return LaunchDescription(
        [
            *ARGUMENTS,
            OpaqueFunction(function=pipeline),
            include(
                "video_source.launch.py",
                IfCondition(NotEqualsSubstitution(LaunchConfiguration("video"), "")),
            ),
            include("rviz.launch.py", IfCondition(LaunchConfiguration("rviz"))),
        ]
    )


def pipeline(context: LaunchContext) -> list[LifecycleNode]:
    """The three nodes, with the parameters that were asked for."""
    get = context.launch_configurations.__getitem__
    if get("video") and not get("compressed"):
        # Between processes most raw images of this size are lost on their way; JPEGs arrive.
        context.launch_configurations["compressed"] = "both"
    transports = {"true": "compressed", "both": "compressed", "false": "raw"}
    keypoints = {
        "detector": (get("detector"), str),
        "model": (get("detector_model"), str),
        "transport": (transports.get(get("compressed"), ""), str),
    }
    lifter = {
        "model": (get("model"), str),
        "backend": (get("backend"), str),
        "person_height": (get("person_height"), float),
    }
    return [
        node(context, "keypoints", keypoints),
        node(context, "lifter", lifter),
        node(context, "markers", {}),
    ]


def node(
    context: LaunchContext, name: str, overrides: dict[str, tuple[str, type]]
) -> LifecycleNode:
    """One node; it configures and activates itself (parameter ``autostart``).

    Args:
        context: for the values of the arguments.
        name: of the node; its executable is ``<name>_node``.
        overrides: parameter -> (value, type); an empty value overrides nothing.
    """
    get = context.launch_configurations.__getitem__
    given = {**overrides, "use_sim_time": (get("use_sim_time"), bool)}
    values = {
        k: ParameterValue(TextSubstitution(text=v), value_type=t)
        for k, (v, t) in given.items()
        if v
    }
    files = [ParameterFile(get("params_file"))] if get("params_file") else []
    return LifecycleNode(
        package="diffpose_ros",
        executable=f"{name}_node",
        name=name,
        namespace=get("namespace"),
        parameters=[*files, *([values] if values else [])],
        remappings=[
            ("image_raw", get("image")),
            ("image_raw/compressed", f"{get('image')}/compressed"),
            ("camera_info", get("camera_info")),
        ],
        ros_arguments=["--log-level", get("log_level")],
        output="screen",
    )
