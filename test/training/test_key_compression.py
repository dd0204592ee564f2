"""Keys cut by their singular values: nothing lost at full rank, little at a little less."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")

from diffpose_ros.core import ConfigError
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder
from diffpose_ros.training.key_compression import compress_keys

CONFIG = ContextConfig(width=8, body=32, depth=2, heads=2, keys=12, window=9)


@pytest.fixture
def encoder() -> ContextEncoder:
    """One whose attention decides something: queries and keys are large, and of falling importance."""
    torch.manual_seed(0)
    made = ContextEncoder(CONFIG)
    with torch.no_grad():
        for block in made.blocks:
            fall = 0.7 ** torch.arange(12.0).repeat(2)
            block.time.query.weight.mul_(6.0 * fall[:, None])
            block.time.query.bias.normal_().mul_(fall)
            block.time.key.weight.mul_(6.0)
    return made.eval()


@pytest.fixture
def views() -> list[dict[str, torch.Tensor]]:
    made = torch.Generator().manual_seed(1)
    return [
        {"points": torch.randn(3, 15, 21, 3, generator=made), "view": torch.randn(3, 15, 6, generator=made),
         "times_s": torch.arange(15) / 30.0}
        for _ in range(4)
    ]  # fmt: skip


def answer(encoder: ContextEncoder, batch) -> torch.Tensor:
    with torch.no_grad():
        return encoder.eval()(batch["points"], batch["view"], batch["times_s"])[1]


def test_all_singular_values_together_are_the_same_function(encoder, views) -> None:
    found = compress_keys(encoder, views, 12)
    assert found.encoder.config == CONFIG
    assert found.kept == pytest.approx(1.0, abs=1e-6)
    assert torch.allclose(answer(found.encoder, views[0]), answer(encoder, views[0]), atol=1e-5)
    changed = found.encoder.blocks[0].time.query.weight - encoder.blocks[0].time.query.weight
    assert changed.abs().max() > 1e-3, "in other coordinates"


def test_the_error_falls_with_the_numbers_that_stay(encoder, views) -> None:
    whole = answer(encoder, views[0])
    errors, kept = [], []
    for keys in (1, 3, 6, 9, 12):
        found = compress_keys(encoder, views, keys)
        assert found.encoder.config.keys == keys
        assert found.encoder.blocks[0].time.key_shape == (2, keys)
        errors.append(float((answer(found.encoder, views[0]) - whole).norm()))
        kept.append(found.kept)
    assert errors == sorted(errors, reverse=True)
    assert kept == sorted(kept)
    assert errors[2] < 0.3 * errors[0]


def test_the_singular_values_fall_and_are_those_of_what_queries_make_of_keys(encoder, views) -> None:
    values = compress_keys(encoder, views, 4).singular_values
    assert values.shape == (2, 2, 12)
    assert (values.diff(dim=-1) <= 0).all()
    block = encoder.blocks[0].time
    rows = []
    hook = block.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0].reshape(-1, 32)))
    for batch in views:
        answer(encoder, batch)
    hook.remove()
    x = torch.cat(rows)
    with torch.no_grad():
        q, k = (part(x).view(-1, 2, 12)[:, 0].double() for part in (block.query, block.key))
    # The singular values of Q^1/2 K^1/2 are the roots of the eigenvalues of Q K.
    product = (q.T @ q / len(x)) @ (k.T @ k / len(x))
    want = torch.linalg.eigvals(product).real.clamp(min=0).sqrt().sort(descending=True).values
    assert torch.allclose(values[0, 0], want, rtol=1e-2, atol=1e-4 * float(want[0]))


def test_the_numbers_that_stay_are_better_than_as_many_others(encoder, views) -> None:
    whole = answer(encoder, views[0])
    weighted = compress_keys(encoder, views, 3)
    other = ContextEncoder(weighted.encoder.config)
    state = dict(encoder.state_dict())
    for name, value in list(state.items()):
        if name.endswith(("time.query.weight", "time.query.bias", "time.key.weight")):
            cut = value.view(2, 12, -1)[:, -3:].reshape(6, *value.shape[1:])  # the least important ones
            state[name] = cut * ((3 / 12) ** 0.25 if "bias" not in name else 1.0)
    other.load_state_dict(state)
    assert (answer(weighted.encoder, views[0]) - whole).norm() < (answer(other, views[0]) - whole).norm()


def test_streaming_goes_on_with_narrow_caches(encoder, views) -> None:
    cut = compress_keys(encoder, views, 5).encoder.eval()
    batch = {k: v[:, :1] if k != "times_s" else v[:1] for k, v in views[0].items()}
    empty = [(torch.zeros(3, 2, 0, 5), torch.zeros(3, 2, 0, 16)) for _ in range(2)]
    with torch.no_grad():
        _, pose, _, entries = cut.step(batch["points"][:, 0], batch["view"][:, 0], torch.zeros(3, 0), empty)
    assert torch.allclose(pose, answer(cut, batch)[:, 0], atol=1e-5)
    assert entries[0][0].shape == (3, 2, 1, 5)


@pytest.mark.parametrize("keys", [0, 13])
def test_more_keys_than_there_are_is_refused(encoder, views, keys: int) -> None:
    with pytest.raises(ConfigError, match=rf"compression\.keys: expected 1 to 12, got {keys}"):
        compress_keys(encoder, views, keys)


def test_a_frame_based_encoder_has_no_keys(views) -> None:
    encoder = ContextEncoder(ContextConfig(width=8, body=32, depth=1, heads=2, temporal=False))
    with pytest.raises(ConfigError, match="has no keys to cut"):
        compress_keys(encoder, views, 4)
