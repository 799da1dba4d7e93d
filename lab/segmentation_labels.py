"""Classes per pixel for rows of a data file: read, and made by a network for training.

The layout is that of the pseudo masks: ``rows`` (m,), ``segmentation`` (m, H, H) uint8 and
``segmentation_names``. Such files are made of people's pictures; they stay outside the tree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lab.face_networks import onnx_session
from lsi.errors import DataError
from lsi.npz_file import DAMAGED_NPZ, npz_arrays
from lsi.whole_file import whole_file
from training.data_sets.data import DataFile
from training.generator.segmentation_head import IGNORED, shrunk

NAMES: Final = (
    "background", "skin", "nose", "eyeglasses", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
    "mouth", "u_lip", "l_lip", "hair", "hat", "earring", "necklace", "neck", "cloth",
)  # fmt: skip
"""Of CelebAMask-HQ, in its order."""
NETWORK_PX: Final = 256
LABEL_PX: Final = 128


@dataclass(frozen=True, slots=True, repr=False)
class Classes:
    """Labels of some rows. Shape: ``rows`` (m,) int64, ``segmentation`` (m, H, H) uint8."""

    rows: NDArray[np.int64]
    segmentation: NDArray[np.uint8]
    names: tuple[str, ...]

    def of(self, rows: NDArray[np.integer[Any]], size_px: int) -> NDArray[np.uint8]:
        """Labels (n, size, size) of ``rows`` in their order, ``IGNORED`` where there are none."""
        found = np.full((len(rows), size_px, size_px), IGNORED, np.uint8)
        small, place = shrunk(self.segmentation, size_px), {int(row): k for k, row in enumerate(self.rows)}
        for index, row in enumerate(rows):
            if int(row) in place:
                found[index] = small[place[int(row)]]
        return found


def read_classes(path: Path | None) -> Classes | None:
    """Read labels; ``None`` where no file is named.

    Raises:
        DataError: No such file, or another layout.
    """
    if path is None:
        return None
    hint = "a .npz with rows, segmentation (m, H, H) uint8 and segmentation_names."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            rows, labels = archive["rows"].astype(np.int64), archive["segmentation"]
            names = tuple(str(name) for name in archive["segmentation_names"])
    except OSError as cause:
        raise DataError(f"No readable labels at {path} ({cause.strerror}).", hint=hint) from cause
    except DAMAGED_NPZ as cause:
        raise DataError(f"{path} holds no labels ({type(cause).__name__}).", hint=hint) from cause
    is_square = labels.ndim == 3 and labels.shape[1] == labels.shape[2]  # noqa: PLR2004 - (m, H, H)
    known = labels[labels != IGNORED]
    if labels.dtype != np.uint8 or not is_square or len(labels) != len(rows) or (known >= len(names)).any():
        raise DataError(f"{path}: {labels.dtype} of shape {labels.shape} for {len(rows)} rows.", hint=hint)
    return Classes(rows, labels, names)


def read_render_classes(path: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]] | None:
    """Labels (n, H, H) of every row of a file of renders and their names; ``None`` where it has none.

    Raises:
        DataError: Another layout.
    """
    with npz_arrays(path, "renders", "holds no labels of renders", "segmentation (n, H, H) uint8.") as arrays:
        if "segmentation" not in arrays:
            return None
        labels, names = arrays["segmentation"], tuple(map(str, arrays["segmentation_names"]))
        if labels.dtype != np.uint8 or labels.ndim != 3 or labels.shape[1] != labels.shape[2]:  # noqa: PLR2004 - (n, H, H)
            message = f"{labels.dtype} of shape {labels.shape}"
            raise ValueError(message)
        return labels, names


def label_rows(
    network: Path, data: DataFile, rows: NDArray[np.integer[Any]], progress: Callable[[int, int], None]
) -> Classes:
    """Weak labels of ``rows`` by a face parsing network: (n, 3, 256, 256) in -1..1 to 19 logits per pixel.

    Raises:
        ConfigError: onnxruntime is missing.
        DataError: Not such a network.
    """
    session = onnx_session(network)
    name, found = session.get_inputs()[0].name, []
    for done, row in enumerate(rows, start=1):
        picture = Image.fromarray(data.picture(int(row)))
        large = np.asarray(picture.resize((NETWORK_PX, NETWORK_PX), Image.Resampling.BILINEAR), np.float32)
        logits = session.run(None, {name: (large / 127.5 - 1).transpose(2, 0, 1)[np.newaxis]})[0]
        if logits.shape != (1, len(NAMES), NETWORK_PX, NETWORK_PX):
            raise DataError(f"{network} gives {logits.shape}.", hint="19 logits per pixel at 256 px.")
        found.append(shrunk(logits.argmax(axis=1).astype(np.uint8), LABEL_PX)[0])
        progress(done, len(rows))
    return Classes(rows.astype(np.int64), np.stack(found), NAMES)


def save_classes(classes: Classes, path: Path) -> None:
    """Write ``path`` in one step."""
    with whole_file(path) as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            rows=classes.rows,
            segmentation=classes.segmentation,
            segmentation_names=np.array(classes.names),
        )
