"""The lifter's service ``~/set_prompt``: what is known of people, said while they are lifted."""

from __future__ import annotations

from typing import Any

from rclpy.parameter import Parameter

from diffpose_ros.core import ConfigError
from diffpose_ros.lifting import with_prompt
from diffpose_ros.srv import SetPrompt

PROMPT = "prompt"


class Prompting:
    """``~/set_prompt`` of a node with the parameter ``prompt``, which it changes.

    Args:
        node: the lifter node.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._service = node.create_service(SetPrompt, "~/set_prompt", self._on_set)

    def close(self) -> None:
        """Take the service down. Calling it twice does no harm."""
        service, self._service = self._service, None
        if service is not None:
            self._node.destroy_service(service)

    def _on_set(self, request: Any, response: Any) -> Any:
        log = self._node.get_logger()
        try:
            text = with_prompt(self._node.parameters[PROMPT], request.track_id, request.prompt)
            (result,) = self._node.set_parameters([Parameter(PROMPT, value=text)])
            response.success, response.message = result.successful, result.reason
        except ConfigError as error:
            response.success, response.message = False, str(error)
        response.said = self._node.parameters[PROMPT]
        if response.success:
            response.message = f"said of people: '{response.said}'" if response.said else "all is worked out"
            log.info(response.message)
        else:
            log.warning(f"refused: {response.message}")
        return response
