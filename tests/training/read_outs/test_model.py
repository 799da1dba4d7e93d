"""The read-out."""

import pytest

pytest.importorskip("torch", reason="the model needs PyTorch (lsi-host[train])")

import torch

from lsi.errors import ConfigError
from training.read_outs.model import MAX_PARAMETERS, ReadOut


def test_parameters_are_counted_by_hand() -> None:
    # 4 x 8 + 8, 8 x 8 + 8, 8 x 2 + 2
    assert ReadOut(4, 2, width=8).parameter_count == 40 + 72 + 18


@pytest.mark.parametrize(("d", "outputs"), [(64, 5), (64, 41), (128, 41)])
def test_the_read_out_is_small_enough_for_the_device(d: int, outputs: int) -> None:
    assert ReadOut(d, outputs).parameter_count <= MAX_PARAMETERS


@pytest.mark.parametrize(("d", "outputs"), [(64, 5), (512, 41), (1, 1)])
def test_the_hint_of_a_refusal_is_the_widest_that_fits(d: int, outputs: int) -> None:
    with pytest.raises(ConfigError, match=r"parameters; 350,000 are allowed\. Try: a width") as refused:
        ReadOut(d, outputs, width=1000)
    widest = int(refused.value.hint.rsplit(" ", 1)[1].rstrip("."))
    assert ReadOut(d, outputs, widest).parameter_count <= MAX_PARAMETERS
    with pytest.raises(ConfigError, match="are allowed"):
        ReadOut(d, outputs, widest + 1)


@pytest.mark.parametrize(("d", "outputs", "width"), [(0, 5, 8), (4, 0, 8), (4, 5, 0)])
def test_a_read_out_of_nothing_is_refused(d: int, outputs: int, width: int) -> None:
    with pytest.raises(ConfigError, match="1 or more of each"):
        ReadOut(d, outputs, width)


def test_the_read_out_standardises_with_stored_statistics() -> None:
    read_out = ReadOut(4, 2, width=8)
    y = 5 + 0.1 * torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(900):
        read_out.standardise(y)
    read_out.eval()
    standard = read_out.standardise(y).detach()
    assert standard.mean(dim=0).abs().max() < 0.05
    assert (standard.std(dim=0) - 1).abs().max() < 0.05
    assert torch.allclose(read_out(y[:1]), read_out(y)[:1], atol=1e-5)


def test_dropout_adds_no_parameter_and_is_gone_in_evaluation() -> None:
    plain, thinned = ReadOut(4, 2, 8), ReadOut(4, 2, 8, dropout=0.5)
    for ours, source in zip(plain.linears, thinned.linears, strict=True):
        ours.load_state_dict(source.state_dict())
    y = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
    assert thinned.parameter_count == plain.parameter_count
    assert torch.equal(plain.eval()(y), thinned.eval()(y))
    assert not torch.equal(thinned.train()(y), thinned(y))
