"""RViz with the image, the annotated image, the skeletons and /tf.

ros2 launch diffpose_ros rviz.launch.py
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

CONFIG = Path(__file__).resolve().parents[1] / "config" / "rviz" / "lift.rviz"


def generate_launch_description() -> LaunchDescription:
    """RViz, with the topics of its config remapped to the nodes' namespace."""
    namespace = LaunchConfiguration("namespace")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "namespace", default_value="diffpose", description="Namespace of the nodes."
            ),
            DeclareLaunchArgument("image", default_value="image_raw", description="Image topic."),
            DeclareLaunchArgument("rviz_config", default_value=str(CONFIG), description="RViz config file."),
            DeclareLaunchArgument(
                "fixed_frame",
                default_value="camera_optical_frame",
                description="RViz's fixed frame: the camera's, or one above it in /tf.",
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                name="rviz",
                namespace=namespace,
                arguments=[
                    "-d",
                    LaunchConfiguration("rviz_config"),
                    "-f",
                    LaunchConfiguration("fixed_frame"),
                ],
                remappings=[
                    ("/diffpose/image_raw", LaunchConfiguration("image")),
                    *((f"/diffpose/{topic}", topic) for topic in ("annotated", "markers")),
                ],
                output="log",
            ),
        ]
    )
