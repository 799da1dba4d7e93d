"""An owner's generator, 18 x 512 or of any other shape, in ONNX and TorchScript."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from host.decoder.decoder import Decoder
from host.decoder.open_decoder import open_decoder
from lsi.errors import ConfigError, DataError, ShapeMismatchError

LAYERS, WIDTH, SIZE = 18, 512, 8
COLOURS = np.random.default_rng(0).normal(scale=0.02, size=(LAYERS * WIDTH, 3)).astype(np.float32)
MEAN = np.random.default_rng(1).normal(scale=0.1, size=WIDTH).astype(np.float32)
DESCRIPTION = """[generator]
name = "owners-faces"
network = "{network}"
layers = {layers}
width = {width}
size_px = {size}
mean = "w_avg.npy"
taps = ["colours"]
"""


class _Plain(nn.Module):
    """One colour for the whole picture; the tap is that colour."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Parameter(torch.tensor(COLOURS))

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        colour = torch.tanh(latents.flatten(1) @ self.colours)[:, :, None, None]
        return colour.expand(-1, 3, 8, 8), colour


def _onnx(path: Path) -> None:
    latents = helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", LAYERS, WIDTH])
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    tap = helper.make_tensor_value_info("colours", TensorProto.FLOAT, ["n", 3, 1, 1])
    constants: dict[str, NDArray[Any]] = {
        "weights": COLOURS,
        "square": np.array([1, 1, SIZE, SIZE], np.int64),
        "one": np.array([0, 3, 1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Flatten", ["latents"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["bounded"]),
        helper.make_node("Reshape", ["bounded", "one"], ["colours"]),
        helper.make_node("Expand", ["colours", "square"], ["picture"]),
    ]
    stored = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "g", [latents], [picture, tap], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def _script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # owners have such files all the same
        trace: Any = torch.jit.trace  # torch has no type for it
        trace(_Plain(), torch.zeros(1, LAYERS, WIDTH)).save(str(path))


MAKERS: dict[str, Callable[[Path], None]] = {"network.onnx": _onnx, "network.ts": _script}


def _described(
    folder: Path, network: str, *, layers: int = LAYERS, width: int = WIDTH, size: int = SIZE
) -> Path:
    np.save(folder / "w_avg.npy", MEAN)
    path = folder / "generator.toml"
    path.write_text(DESCRIPTION.format(network=network, layers=layers, width=width, size=size))
    return path


@pytest.fixture(scope="module", params=sorted(MAKERS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    made = tmp_path_factory.mktemp("foreign")
    MAKERS[request.param](made / request.param)
    return made, str(request.param)


def test_an_exported_generator_decodes_mean_plus_offset(folder: tuple[Path, str]) -> None:
    decoder: Decoder = open_decoder(_described(*folder))
    offsets = np.random.default_rng(2).normal(size=(70, LAYERS, WIDTH)).astype(np.float32)
    colour = np.tanh((MEAN + offsets).reshape(70, -1) @ COLOURS)
    pictures = decoder.pictures(offsets)
    assert pictures.shape == (70, SIZE, SIZE, 3)
    assert np.abs(pictures[:, 3, 5] - (colour + 1) * 127.5).max() < 0.51
    assert np.allclose(decoder.features(offsets)[0][:, :, 0, 0], colour, atol=1e-4)
    assert (decoder.space.form.shape, decoder.size_px) == ((LAYERS, WIDTH), SIZE)


@pytest.mark.parametrize(
    ("layers", "width", "size", "told"),
    [(10, 512, 8, "does not take|gives"), (18, 128, 8, "mean latent"), (18, 512, 16, "not a picture")],
)
def test_another_generator_than_described_is_refused_at_once(
    folder: tuple[Path, str], layers: int, width: int, size: int, told: str
) -> None:
    path = _described(*folder, layers=layers, width=width, size=size)
    with pytest.raises(ShapeMismatchError, match=told):
        open_decoder(path)


def test_a_tap_that_is_not_there_is_refused(folder: tuple[Path, str]) -> None:
    path = _described(*folder)
    path.write_text(path.read_text().replace('["colours"]', '["colours", "l9"]'))
    with pytest.raises(ShapeMismatchError, match="taps"):
        open_decoder(path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('mean = "w_avg.npy"', "mean"),
        ('network = "network.onnx"', "network"),
        ("layers = 18", "layers"),
        ('name = "owners-faces"', "name"),
    ],
)
def test_a_description_that_lacks_something_is_refused(tmp_path: Path, line: str, told: str) -> None:
    path = _described(tmp_path, "network.onnx")
    path.write_text(path.read_text().replace(line, ""))
    with pytest.raises(ConfigError, match=told):
        open_decoder(path)


@pytest.mark.parametrize("network", ["../network.onnx", "network.exe", "/etc/passwd.pt"])
def test_a_network_elsewhere_is_refused(tmp_path: Path, network: str) -> None:
    with pytest.raises(ConfigError, match="network"):
        open_decoder(_described(tmp_path, network))


@pytest.mark.parametrize("network", ["network.onnx", "network.pt"])
@pytest.mark.parametrize("content", [None, b"", b"nothing"])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, network: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / network).write_bytes(content)
    with pytest.raises(DataError, match=network):
        open_decoder(_described(tmp_path, network))


def test_a_missing_or_strange_mean_is_refused(tmp_path: Path) -> None:
    _onnx(tmp_path / "network.onnx")
    path = _described(tmp_path, "network.onnx")
    (tmp_path / "w_avg.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="w_avg"):
        open_decoder(path)
    np.save(tmp_path / "w_avg.npy", np.zeros(WIDTH, np.int64))
    with pytest.raises(ShapeMismatchError, match="mean latent"):
        open_decoder(path)
