"""A new frame costs one frame's work, and gives what the whole clip would have given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training and export need it")

from diffpose_ros.core import COCO17, H36M17, ConfigError  # noqa: E402
from diffpose_ros.data.virtual.synthesis import observe_sequence  # noqa: E402
from diffpose_ros.geometry.mapping import MIRRORED_POINTS  # noqa: E402
from diffpose_ros.geometry.normalise import MIRRORED_VIEW  # noqa: E402
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder  # noqa: E402
from diffpose_ros.methods.diffusion.hpim import HistoryConfig, HistoryModule  # noqa: E402
from diffpose_ros.methods.layers import AgeBias, BodyAttention, banded_ages  # noqa: E402


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


@pytest.mark.parametrize("window", [1, 12, 81], ids=["one", "shorter than clip", "longer than clip"])
@pytest.mark.parametrize("mirror", [False, True], ids=["alone", "with its mirror image"])
def test_context_encoder_streams_what_the_banded_clip_gives(window: int, mirror: bool) -> None:
    config = ContextConfig(width=8, body=32, depth=3, window=window, mirror=mirror)
    encoder = lively(ContextEncoder(config))
    frames, people = 40, 2
    points, view = torch.randn(people, frames, 21, 3), torch.randn(people, frames, 6)
    times = stamps(frames)
    slots = torch.full((window,), -1.0)
    caches = [
        tuple(torch.zeros(people, h, window, d) for h, d in (b.time.key_shape, b.time.value_shape))
        for b in encoder.blocks
    ]
    with torch.no_grad():
        _, whole, whole_sigma = encoder(points, view, times)
        for i in range(frames):
            age = torch.where(slots >= 0, times[i] - slots, torch.tensor(-1.0))
            _, pose, sigma, new = encoder.step(points[:, i], view[:, i], age.expand(people, -1), caches)
            assert torch.allclose(pose, whole[:, i], atol=1e-4)
            assert torch.allclose(sigma, whole_sigma[:, i], atol=1e-4)
            if i == frames - 1:
                assert torch.allclose(encoder.newest(points, view, times)[1], pose, atol=1e-4)
            slot = i % window
            for (keys, values), (key, value) in zip(caches, new, strict=True):
                keys[..., slot : slot + 1, :] = key
                values[..., slot : slot + 1, :] = value
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


def flipped(pose: torch.Tensor) -> torch.Tensor:
    return (pose * torch.tensor([-1.0, 1.0, 1.0]))[..., list(H36M17.flip), :]


@pytest.mark.parametrize("view_size", [6, 9], ids=["no gravity", "gravity"])
@pytest.mark.parametrize("temporal", [True, False], ids=["video", "frame-based"])
def test_mirrored_people_get_mirrored_answers(temporal: bool, view_size: int) -> None:
    """From keypoints on: what the encoder takes for a mirror image is what a mirrored camera sees."""
    config = ContextConfig(width=8, body=32, depth=2, temporal=temporal, mirror=True, view=view_size)
    encoder = lively(ContextEncoder(config))
    rng, frames = np.random.default_rng(0), 9
    xy, score = rng.normal(0.1, 0.2, (1, frames, 17, 2)), rng.uniform(0, 1, (1, frames, 17))
    score[score < 0.2] = 0.0
    times = np.cumsum(rng.uniform(0.02, 0.05, frames))
    swap = list(COCO17.flip)
    other = (xy * [-1.0, 1.0])[:, :, swap], score[:, :, swap]
    answers = []
    up = np.broadcast_to(np.array([0.3, -0.9, -0.3]) / np.sqrt(0.99), (1, frames, 3))
    for keypoints, weight, above in ((xy, score, up), (*other, up * [-1.0, 1.0, 1.0])):
        points, view, _, _ = observe_sequence(keypoints, weight, times, above)
        with torch.no_grad():
            answers.append(
                encoder(torch.from_numpy(points), torch.from_numpy(view), torch.from_numpy(times).float())
            )
    (_, pose, sigma), (_, mirrored, mirrored_sigma) = answers
    assert pose.abs().max() > 0.1
    assert torch.allclose(mirrored, flipped(pose), atol=1e-5)
    assert torch.allclose(mirrored_sigma, sigma[..., list(H36M17.flip), :], atol=1e-5)


def test_with_the_mirror_image_comes_the_mean_of_two_answers() -> None:
    config = ContextConfig(width=8, body=32, depth=2)
    single = lively(ContextEncoder(config))
    double = ContextEncoder(replace(config, mirror=True)).eval()
    double.load_state_dict(single.state_dict())
    points, view, times = torch.randn(2, 7, 21, 3), torch.randn(2, 7, 6), stamps(7)
    mirror_points = (points * torch.tensor([-1.0, 1.0, 1.0]))[..., list(MIRRORED_POINTS), :]
    with torch.no_grad():
        feature, pose, sigma = single(points, view, times)
        _, back, back_sigma = single(mirror_points, view * torch.tensor(MIRRORED_VIEW[:6]), times)
        got = double(points, view, times)
    assert torch.allclose(got[0], feature, atol=1e-5)
    assert torch.allclose(got[1], (pose + flipped(back)) / 2, atol=1e-5)
    assert torch.allclose(got[2], (sigma + back_sigma[..., list(H36M17.flip), :]) / 2, atol=1e-5)


def test_training_sees_no_mirror_image() -> None:
    config = ContextConfig(width=8, body=32, depth=2)
    single = lively(ContextEncoder(config))
    double = ContextEncoder(replace(config, mirror=True))
    double.load_state_dict(single.state_dict())
    points, view, times = torch.randn(2, 7, 21, 3), torch.randn(2, 7, 6), stamps(7)
    for a, b in zip(single(points, view, times), double.train()(points, view, times), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_a_body_looks_back_by_ordinary_attention_with_narrow_keys() -> None:
    """Against the formula written out, one head at a time."""
    attention = lively(BodyAttention(8, 2, keys=3))
    x, age = torch.randn(1, 6, 8), banded_ages(stamps(6), 3)
    with torch.no_grad():
        q, k, v = (f(x)[0] for f in (attention.query, attention.key, attention.value))
        mixed = []
        for h in range(2):
            narrow, wide = slice(3 * h, 3 * h + 3), slice(4 * h, 4 * h + 4)
            logits = q[:, narrow] @ k[:, narrow].T / 3**0.5 + attention.age_bias(age)[:, h]
            mixed.append(torch.softmax(logits, -1) @ v[:, wide])
        want = torch.cat(mixed, -1) @ attention.out.weight.T
        assert torch.allclose(attention(x, age), want, atol=1e-5)


def test_copies_of_a_body_share_weights_and_do_not_see_each_other() -> None:
    alone, both = lively(BodyAttention(8, 2, keys=3)), BodyAttention(8, 2, keys=3, copies=2)
    both.load_state_dict(alone.state_dict())
    x, age = torch.randn(1, 2, 8), torch.tensor([[0.1, -1.0, 0.3]])
    key, value = torch.randn(1, 4, 3, 3), torch.randn(1, 4, 3, 4)
    with torch.no_grad():
        got, entry = both.step(x, age, (key, value))
        for copy in range(2):
            own = slice(2 * copy, 2 * copy + 2)
            want, made = alone.step(x[:, copy : copy + 1], age, (key[:, own], value[:, own]))
            assert torch.allclose(got[:, copy : copy + 1], want, atol=1e-6)
            assert all(torch.allclose(a[:, own], b) for a, b in zip(entry, made, strict=True))


def test_a_residual_stream_keeps_its_precision_in_mixed_precision() -> None:
    encoder = lively(ContextEncoder(ContextConfig(width=8, body=32, depth=2)))
    points, view, times = torch.randn(2, 7, 21, 3), torch.randn(2, 7, 6), stamps(7)
    with torch.autocast("cpu", torch.bfloat16):
        _, pose, sigma = encoder(points, view, times)
    assert pose.dtype == sigma.dtype == torch.float32


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
                shapes = layer.attention.key_shape, layer.attention.value_shape
                none = tuple(torch.zeros(2, h, 0, d) for h, d in shapes)
                seen = zip(none, *past[first:i], strict=True)
                caches.append(tuple(torch.cat(entries, -2) for entries in seen))
            out, new = module.step(points[:, i], pose[:, i], age, caches)
            for store, entry in zip(entries, new, strict=True):
                store.append(entry)
            assert torch.allclose(out, whole[:, i], atol=1e-4)


def test_an_age_bias_is_a_sum_of_exponentials_and_a_line() -> None:
    bias = lively(AgeBias(3))
    age = torch.tensor([[0.0, 0.05, 0.4, 2.0]])
    tau = torch.tensor([0.03, 0.08, 0.2, 0.5, 1.2, 3.0])
    got = bias(age)[0]
    for head in range(3):
        for i, a in enumerate(age[0]):
            want = (bias.weight[head] * ((-a / tau).exp() - 1)).sum() - bias.slope[head] * a
            assert got[head, i].item() == pytest.approx(want.item(), abs=1e-5)
    assert torch.equal(bias(age, copies=2)[0], torch.cat([got, got]))


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
    [
        ({"body": 30}, "not a multiple of 4 heads"),
        ({"keys": 0}, "keys: expected 1 or more, got 0"),
        ({"window": 300}, "expected 1 to 243 frames"),
    ],
)
def test_wrong_sizes_are_refused(change: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        ContextConfig(**change)


def test_an_encoder_that_knows_no_gravity_is_not_told_of_it() -> None:
    encoder = lively(ContextEncoder(ContextConfig(width=8, body=32, depth=1)))
    points, view, times = torch.randn(2, 5, 21, 3), torch.randn(2, 5, 9), stamps(5)
    for a, b in zip(encoder(points, view, times), encoder(points, view[..., :6], times), strict=True):
        assert torch.equal(a, b)


def test_an_encoder_with_gravity_answers_by_it() -> None:
    encoder = lively(ContextEncoder(ContextConfig(width=8, body=32, depth=1, view=9)))
    points, view, times = torch.randn(2, 5, 21, 3), torch.randn(2, 5, 9), stamps(5)
    other = view * torch.tensor([1.0] * 8 + [-1.0])
    assert (encoder(points, view, times)[1] - encoder(points, other, times)[1]).abs().max() > 1e-3


def test_views_of_another_length_are_refused() -> None:
    with pytest.raises(ConfigError, match="view: expected 6 entries, or 9 with gravity, got 7"):
        ContextConfig(view=7)
