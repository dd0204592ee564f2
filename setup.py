"""`pip install .`: the library without ROS, and the `diffpose_ros` command.

With ROS, CMakeLists.txt installs the package together with its messages and nodes.
"""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def requirements(name: str) -> list[str]:
    """The lines of a requirements file, without comments."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return [line for line in (raw.partition("#")[0].strip() for raw in lines) if line]


setup(
    packages=[*find_packages(include=["diffpose_ros", "diffpose_ros.*"]), "diffpose_ros.config"],
    package_dir={"diffpose_ros.config": "config"},
    package_data={
        "diffpose_ros": ["weights/**/*", "data/virtual/*.json"],
        "diffpose_ros.config": ["**/*.yaml", "**/*.json", "**/*.rviz"],
    },
    install_requires=requirements("runtime"),
    extras_require={
        "demo": requirements("demo"),
        "openvino": requirements("openvino"),
        "view": requirements("view"),
        "search": requirements("search"),
        "ray": requirements("ray"),
        "training": requirements("training"),
        "render": [*requirements("training"), *requirements("render")],
        "dev": requirements("dev"),
    },
)
