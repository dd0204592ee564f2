"""What the launch files share and check before a node starts. No launch library is imported here."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import yaml

from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.core.bounded_yaml import parse, read_text
from diffpose_ros.core.resources import config_path

PROFILE = "fastdds_large_images.xml"
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS looks for a profile: today, and before version 3."""

TOPIC = re.compile(r"(~/|/)?[A-Za-z_{][A-Za-z0-9_{}]*(/[A-Za-z_{][A-Za-z0-9_{}]*)*")
SHARED_MEMORY_NEEDED = 5 * 64 * 2**20
"""A segment of the profile for each node and the driver, bytes."""

TRANSPORT_VARIABLES = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")
"""A user who has set one of these has chosen the transports."""


def number(name: str, text: str, low: float, high: float) -> str:
    """A launch argument that is a number, as ROS writes one; an empty one stays empty.

    Raises:
        ConfigError: it is none, or not from ``low`` to ``high``.
    """
    if not text:
        return ""
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"launch argument '{name}': expected a number, got '{text}'") from None
    if not low <= value <= high:
        raise ConfigError(f"launch argument '{name}': expected {low:g} to {high:g}, got {text}")
    return repr(value)


def topic(name: str, text: str) -> str:
    """A launch argument that names a topic.

    Raises:
        ConfigError: ROS knows no topic of that name.
    """
    if text and not TOPIC.fullmatch(text):
        raise ConfigError(
            f"launch argument '{name}': expected a topic such as /camera/image_raw (letters, digits, _ "
            f"and /), got '{text}'"
        )
    return text


def parameter_file(text: str) -> list[str]:
    """The launch argument ``params_file`` as a list of no or one file.

    Raises:
        ConfigError: it cannot be read, or is no ROS parameter file.
    """
    if not text:
        return []
    try:
        content = parse(read_text(text), text)
    except InputError as error:
        raise ConfigError(f"launch argument 'params_file': {error}") from None
    if not _has_parameters(content):
        raise ConfigError(
            f"launch argument 'params_file': {text}: expected NODE: ros__parameters: {{NAME: VALUE}}, as in "
            "config/*.yaml"
        )
    return [text]


def _has_parameters(content: Any) -> bool:
    if not isinstance(content, dict) or not content:
        return False
    return all(
        isinstance(value, dict) and (isinstance(value.get("ros__parameters"), dict) or _has_parameters(value))
        for value in content.values()
    )


def node_parameters_file(namespace: str, parameters: Mapping[str, Mapping[str, tuple[str, type]]]) -> str:
    """Write parameters of several nodes of one process into a file.

    Args:
        namespace: of the nodes.
        parameters: node -> parameter -> (text, type); an empty text sets nothing.

    Returns:
        The file's path, in the folder for temporary files.
    """
    prefix = f"/{namespace.strip('/')}" if namespace.strip("/") else ""
    content = {}
    for node, given in parameters.items():
        values = {name: _typed(*value) for name, value in given.items() if value[0]}
        if values:
            content[f"{prefix}/{node}"] = {"ros__parameters": values}
    with tempfile.NamedTemporaryFile("w", prefix="diffpose_ros_", suffix=".yaml", delete=False) as file:
        yaml.safe_dump(content or {"/**": {"ros__parameters": {}}}, file)
    return file.name


def _typed(text: str, kind: type) -> Any:
    return text == "true" if kind is bool else kind(text)


def shared_memory_room() -> int:
    """Free bytes of ``/dev/shm``; none where there is no such place."""
    try:
        return shutil.disk_usage("/dev/shm").free
    except OSError:
        return 0


def transport_environment(environment: Mapping[str, str], room: int | None = None) -> dict[str, str]:
    """Variables that give Fast DDS room for large images; none where the user has chosen transports.

    Args:
        environment: of this process.
        room: free bytes of shared memory; without room for a segment per node Fast DDS would report
            errors and send over UDP alone.
    """
    if any(environment.get(name) for name in TRANSPORT_VARIABLES):
        return {}
    if (shared_memory_room() if room is None else room) < SHARED_MEMORY_NEEDED:
        return {}
    old = environment.get("ROS_DISTRO") in ("humble", "iron", "jazzy")
    return {PROFILE_VARIABLES[old]: str(config_path(PROFILE))}
