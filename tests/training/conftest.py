"""One short training run that several tests look at."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.training.scenes import write_faces, write_textures

BOARD = Path(__file__).parents[2] / "hardware" / "boards" / "sim-mcp3208.toml"


if importlib.util.find_spec("torch") is not None:
    import torch

    # Tensors here are small: a second thread costs more than it brings.
    torch.set_num_threads(1)


@dataclass(frozen=True, slots=True)
class Files:
    """Generated data files of one run."""

    data: Path
    nonfaces: Path
    val: Path
    nonfaces_val: Path

    def arguments(self, output: Path, *more: str) -> list[str]:
        """The command line of a training run on these files."""
        words = ["--data", str(self.data), "--nonfaces", str(self.nonfaces)]
        words += ["--val", str(self.val), "--nonfaces-val", str(self.nonfaces_val)]
        return [*words, "--board", str(BOARD), "-o", str(output), "--d", "8", *more]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Data files with drawn faces and textures, different ones for val."""
    folder = tmp_path_factory.mktemp("data")
    return Files(
        data=write_faces(folder / "train.npz", 640, 1),
        nonfaces=write_textures(folder / "textures.npz", 120, 1),
        val=write_faces(folder / "val.npz", 300, 2),
        nonfaces_val=write_textures(folder / "textures_val.npz", 60, 2),
    )
