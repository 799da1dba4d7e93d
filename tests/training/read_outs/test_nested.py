"""One bank for every d' <= d."""

import pytest

pytest.importorskip("torch", reason="the model needs PyTorch (lsi-host[train])")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsi.errors import ConfigError
from training.read_outs.model import MAX_PARAMETERS
from training.read_outs.nested import NestedPrefix, NestedReadOut


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _measurement(rows: int, d: int, seed: int = 1) -> torch.Tensor:
    return 0.2 + 0.1 * torch.randn(rows, d, generator=_generator(seed))


def _trained(prefixes: NestedPrefix, dropout: float = 0.0) -> NestedReadOut:
    """A read-out with statistics and biases that are not those of the start."""
    read_out = NestedReadOut(prefixes, outputs=3, width=8, dropout=dropout)
    with torch.no_grad():
        read_out.prefix_bias.copy_(torch.randn(read_out.prefix_bias.shape, generator=_generator(5)))
        for _ in range(300):
            read_out(_measurement(32, prefixes.d))
    return read_out.eval()


def test_declared_sizes_of_d_and_above_give_way_to_d() -> None:
    assert NestedPrefix(64).sizes == (4, 8, 16, 32, 64)
    assert NestedPrefix(20).sizes == (4, 8, 16, 20)
    assert NestedPrefix(3).sizes == (3,)


@given(
    d=st.integers(1, 130),
    rows=st.integers(1, 300),
    full_share=st.floats(0, 1),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60)
def test_every_draw_holds_the_full_bank_and_nothing_undeclared(
    d: int, rows: int, full_share: float, seed: int
) -> None:
    prefixes = NestedPrefix(d, full_share=full_share)
    shown = prefixes.draw(rows, _generator(seed))
    assert shown.shape == (rows,)
    assert set(shown.tolist()) <= set(prefixes.sizes)
    full = int((shown == d).sum())
    assert full == (rows if len(prefixes.sizes) == 1 else max(1, round(full_share * rows)))


def test_smaller_sizes_are_equally_likely_and_independent_of_the_row() -> None:
    shown = torch.stack([NestedPrefix(32, full_share=0.5).draw(64, _generator(seed)) for seed in range(400)])
    for size in (4, 8, 16):
        assert float((shown == size).float().mean()) == pytest.approx(1 / 6, abs=0.01)
    in_each_row = (shown == 32).float().mean(dim=0)
    assert float((in_each_row - 0.5).abs().max()) < 0.12


@pytest.mark.parametrize("shown", [4, 8, 16])
def test_measurements_beyond_the_prefix_are_not_read(shown: int) -> None:
    read_out = _trained(NestedPrefix(16))
    y = _measurement(5, 16, seed=2)
    changed = y.clone()
    changed[:, shown:] = 1e3
    assert torch.equal(read_out(y, shown), read_out(changed, shown))
    changed = y.clone()
    changed[:, shown - 1] += 1
    assert not torch.equal(read_out(y, shown), read_out(changed, shown))


def test_rows_of_one_batch_may_see_different_prefixes() -> None:
    read_out = _trained(NestedPrefix(16))
    y = _measurement(4, 16, seed=3)
    mixed = read_out(y, torch.tensor([4, 16, 8, 5]))
    for row, shown in enumerate((4, 16, 8, 5)):
        assert torch.allclose(mixed[row], read_out(y, shown)[row], atol=1e-6)


def test_every_size_is_each_size_in_turn() -> None:
    read_out = _trained(NestedPrefix(16))
    y = _measurement(3, 16, seed=3)
    found = read_out.every_size(y)
    assert found.shape == (3, 3, 3)
    for logits, shown in zip(found, (4, 8, 16), strict=True):
        assert torch.allclose(logits, read_out(y, shown), atol=1e-6)


def test_without_a_prefix_all_masks_count() -> None:
    read_out = _trained(NestedPrefix(16))
    y = _measurement(4, 16)
    assert torch.equal(read_out(y), read_out(y, 16))


def test_the_read_out_knows_how_many_masks_were_shown() -> None:
    # At the mean of every measurement nothing but the bias can tell the sizes apart.
    read_out = _trained(NestedPrefix(16))
    assert read_out.standardise.running_mean is not None
    mean = read_out.standardise.running_mean[None]
    assert not torch.allclose(read_out(mean, 4), read_out(mean, 8))


def test_between_two_sizes_the_bias_is_interpolated_in_log_size() -> None:
    read_out = _trained(NestedPrefix(16, declared=(4,)))
    quarter, half, full = read_out.mixture[4], read_out.mixture[8], read_out.mixture[16]
    assert quarter.tolist() == [1, 0]
    assert half.tolist() == pytest.approx([0.5, 0.5])
    assert full.tolist() == [0, 1]
    assert read_out.mixture[1].tolist() == [1, 0]
    assert torch.allclose(read_out.mixture.sum(dim=1), torch.ones(17))


@pytest.mark.parametrize("shown", [1, 4, 7, 16])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_prefix_is_exported_as_a_plain_read_out(shown: int, dropout: float) -> None:
    read_out = _trained(NestedPrefix(16), dropout)
    y = _measurement(6, 16, seed=4)
    plain = read_out.at(shown)
    assert torch.allclose(plain(y[:, :shown]), read_out(y, shown), atol=1e-5)
    assert plain.linears[0].in_features == shown


def test_the_exported_read_out_shares_no_memory_with_the_nested_one() -> None:
    read_out = _trained(NestedPrefix(16))
    before = read_out(_measurement(2, 16)).clone()
    plain = read_out.at(16)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.zero_()
        assert plain.standardise.running_mean is not None
        plain.standardise.running_mean.zero_()
    assert torch.equal(read_out(_measurement(2, 16)), before)


def test_the_bias_of_a_prefix_gets_the_gradient_of_its_rows_only() -> None:
    read_out = NestedReadOut(NestedPrefix(16), outputs=3, width=8)
    read_out(_measurement(8, 16), 8).sum().backward()
    assert read_out.prefix_bias.grad is not None
    assert [bool((row != 0).any()) for row in read_out.prefix_bias.grad] == [False, True, False]


def test_the_nested_read_out_of_64_masks_is_small_enough() -> None:
    assert NestedReadOut(NestedPrefix(64), outputs=41).parameter_count <= MAX_PARAMETERS


def test_the_biases_of_the_prefixes_count_against_the_limit() -> None:
    with pytest.raises(ConfigError, match="a width of at most 509"):
        NestedReadOut(NestedPrefix(128, (4, 8, 16, 32, 64)), outputs=41)
    largest = NestedReadOut(NestedPrefix(128, (4, 8, 16, 32, 64)), outputs=41, width=509)
    assert largest.parameter_count <= MAX_PARAMETERS


@pytest.mark.parametrize("declared", [(8, 4), (4, 4), (0, 4), (-1,)])
def test_sizes_that_do_not_ascend_are_refused(declared: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="ascending sizes from 1 on"):
        NestedPrefix(16, declared)


def test_a_share_outside_its_range_and_a_bank_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 to 1"):
        NestedPrefix(16, full_share=1.5)
    with pytest.raises(ConfigError, match="a bank of 0 masks"):
        NestedPrefix(0)


@pytest.mark.parametrize("shown", [0, 17])
def test_a_prefix_that_the_bank_does_not_have_is_refused(shown: int) -> None:
    with pytest.raises(ConfigError, match=r"no prefix of -?\d+\. Try: 1 to 16"):
        NestedReadOut(NestedPrefix(16), outputs=3, width=8).at(shown)
