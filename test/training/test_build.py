"""What a run reads off the checkpoints it starts from."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed: training and export need it")

from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder  # noqa: E402
from diffpose_ros.training.build import context_config  # noqa: E402


@pytest.mark.parametrize(
    "config",
    [
        ContextConfig(width=8, body=24, depth=3, heads=2, keys=5, mlp_ratio=1.5, window=9),
        ContextConfig(width=16, body=32, depth=1, heads=8, keys=16, mirror=True),
        ContextConfig(width=8, body=32, depth=2, temporal=False),
    ],
    ids=["video", "with its mirror image", "frame-based"],
)
def test_a_checkpoint_tells_the_sizes_of_its_encoder(config: ContextConfig) -> None:
    weights = ContextEncoder(config).state_dict()
    assert context_config(weights, config.window, config.mirror) == config
