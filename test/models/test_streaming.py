"""A new frame costs one frame's work, and gives what the whole clip would have given."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training and export need it")

from diffpose_ros.core import ConfigError  # noqa: E402
from diffpose_ros.models.context_encoder import ContextConfig, ContextEncoder  # noqa: E402
from diffpose_ros.models.hpim import HistoryConfig, HistoryModule  # noqa: E402
from diffpose_ros.models.layers import AgeBias, banded_ages  # noqa: E402


def lively(module: torch.nn.Module) -> torch.nn.Module:
    """Random weights everywhere, so that zero-initialised parts cannot hide."""
    torch.manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return module.eval()


def stamps(frames: int) -> torch.Tensor:
    torch.manual_seed(2)
    return torch.cumsum(0.01 + 0.05 * torch.rand(frames), 0)


@pytest.mark.parametrize(
    "window", [1, 12, 81], ids=["one", "shorter than clip", "longer than clip"]
)
def test_context_encoder_streams_what_the_banded_clip_gives(window: int) -> None:
    config = ContextConfig(width=8, body=32, depth=3, window=window)
    encoder = lively(ContextEncoder(config))
    frames, people = 40, 2
    points, view = torch.randn(people, frames, 21, 3), torch.randn(people, frames, 6)
    times = stamps(frames)
    slots = torch.full((window,), -1.0)
    caches = [
        (torch.zeros(people, *b.time.key_shape, window),
         torch.zeros(people, b.time.value_shape[0], window, b.time.value_shape[1]))
        for b in encoder.blocks
    ]  # fmt: skip
    with torch.no_grad():
        _, whole, whole_sigma = encoder(points, view, times)
        for i in range(frames):
            age = torch.where(slots >= 0, times[i] - slots, torch.tensor(-1.0))
            _, pose, sigma, new = encoder.step(
                points[:, i], view[:, i], age.expand(people, -1), caches
            )
            assert torch.allclose(pose, whole[:, i], atol=1e-4)
            assert torch.allclose(sigma, whole_sigma[:, i], atol=1e-4)
            slot = i % window
            for (keys, values), (key, value) in zip(caches, new, strict=True):
                keys[..., slot] = key
                values[..., slot, :] = value
            slots[slot] = times[i]


def test_the_frame_based_encoder_sees_one_frame_and_keeps_nothing() -> None:
    encoder = lively(ContextEncoder(ContextConfig(width=8, body=32, depth=2, temporal=False)))
    assert encoder.looking_back == []
    points, view = torch.randn(2, 5, 21, 3), torch.randn(2, 5, 6)
    with torch.no_grad():
        _, whole, _ = encoder(points, view, stamps(5))
        _, pose, _, new = encoder.step(points[:, 3], view[:, 3], torch.zeros(2, 0), [])
        _, other, _ = encoder(points.flip(1), view.flip(1), stamps(5))
    assert new == []
    assert torch.allclose(pose, whole[:, 3], atol=1e-5)
    assert torch.allclose(other.flip(1), whole, atol=1e-5)


def test_context_encoder_never_looks_ahead() -> None:
    encoder = lively(ContextEncoder(ContextConfig(width=8, body=32, depth=2, window=20)))
    points, view, times = torch.randn(1, 30, 21, 3), torch.randn(1, 30, 6), stamps(30)
    changed = points.clone()
    changed[:, 20:] += 1.0
    with torch.no_grad():
        a, b = encoder(points, view, times)[1], encoder(changed, view, times)[1]
    assert torch.equal(a[:, :20], b[:, :20])
    assert not torch.allclose(a[:, 20:], b[:, 20:])


def test_time_counts_not_frames() -> None:
    encoder = lively(ContextEncoder(ContextConfig(width=8, body=32, depth=2)))
    points, view = torch.randn(1, 20, 21, 3), torch.randn(1, 20, 6)
    with torch.no_grad():
        slow = encoder(points, view, torch.arange(20) / 10.0)[1]
        fast = encoder(points, view, torch.arange(20) / 60.0)[1]
        later = encoder(points, view, 100.0 + torch.arange(20) / 10.0)[1]
    assert not torch.allclose(slow, fast, atol=1e-3)
    assert torch.allclose(slow, later, atol=1e-3)


def test_history_module_streams_what_the_clip_gives() -> None:
    config = HistoryConfig(width=16, depth=2, length=5)
    module = lively(HistoryModule(config))
    frames = 12
    points, pose = torch.randn(2, frames, 21, 3), 0.3 * torch.randn(2, frames, 17, 3)
    times = stamps(frames)
    entries: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in module.layers]
    with torch.no_grad():
        whole = module(points, pose, times)
        for i in range(frames):
            first = max(0, i - config.length)
            age = (times[i] - times[first:i]).expand(2, -1)
            caches = []
            for layer, past in zip(module.layers, entries, strict=True):
                h, d = layer.attention.key_shape
                v = layer.attention.value_shape[1]
                keys = [k for k, _ in past[first:i]]
                values = [w for _, w in past[first:i]]
                caches.append(
                    (torch.stack(keys, -1) if keys else torch.zeros(2, h, d, 0),
                     torch.stack(values, -2) if values else torch.zeros(2, h, 0, v))
                )  # fmt: skip
            out, new = module.step(points[:, i], pose[:, i], age, caches)
            for store, entry in zip(entries, new, strict=True):
                store.append(entry)
            assert torch.allclose(out, whole[:, i], atol=1e-4)


def test_empty_slots_do_not_count() -> None:
    bias = AgeBias(4)(torch.tensor([[0.1, -1.0]]))
    assert bias.shape == (1, 4, 2)
    assert (bias[..., 1] < -1e3).all()
    assert (bias[..., 0] > -1e3).all()


def test_banded_ages_see_the_window_and_nothing_else() -> None:
    age = banded_ages(torch.arange(5.0), 2)
    assert age[3].tolist() == [-1.0, 2.0, 1.0, 0.0, -1.0]


@pytest.mark.parametrize(
    ("change", "text"),
    [({"body": 30}, "not a multiple of 4 heads"), ({"window": 300}, "expected 1 to 243 frames")],
)
def test_wrong_sizes_are_refused(change: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        ContextConfig(**change)
