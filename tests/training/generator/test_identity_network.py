"""The identity loss: an owner's network, scripted; files that are none are refused."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lsi.errors import DataError
from training.generator.identity_network import IdentityNetwork


class _Means(nn.Module):
    """Mean of each colour, with a weight: the smallest embedding that could be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.mean(dim=[2, 3]) * self.weight


class _Maps(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures


class _Wide(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.view(pictures.shape[0], 7, -1)


def scripted(network: nn.Module, path: Path) -> Path:
    script = torch.jit.script(network)
    torch.jit.save(script, str(path))
    return path


def means_network(path: Path) -> Path:
    return scripted(_Means(), path)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_equal_faces_cost_nothing_others_more_and_only_the_picture_learns(tmp_path: Path) -> None:
    network = IdentityNetwork(means_network(tmp_path / "id.ts"), 8)
    red = torch.zeros(2, 3, 8, 8)
    red[:, 0] = 1
    made = red.roll(1, dims=1).requires_grad_()
    assert float(network.distance(red, red)) == pytest.approx(0, abs=1e-6)
    loss = network.distance(made, red)
    assert float(loss.detach()) == pytest.approx(1, abs=1e-6)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    assert made.grad is not None
    assert bool(made.grad.abs().sum() > 0)
    assert all(parameter.grad is None for parameter in network._network.parameters())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("network", "told"), [(_Maps(), "gives"), (_Wide(), "does not take")])
def test_a_network_that_gives_no_embedding_is_refused(tmp_path: Path, network: nn.Module, told: str) -> None:
    with pytest.raises(DataError, match=told):
        IdentityNetwork(scripted(network, tmp_path / "id.ts"), 8)


@pytest.mark.parametrize("content", [None, b"", b"nothing", bytes(64)])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "id.ts").write_bytes(content)
    with pytest.raises(DataError, match=r"id\.ts"):
        IdentityNetwork(tmp_path / "id.ts", 8)
