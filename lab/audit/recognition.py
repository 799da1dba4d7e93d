"""A recognition network that its owner names: what it makes of real pictures and of reconstructions.

The file is an ONNX network with one input (n, 3, 112, 96) of RGB, ``(v - 127.5) / 128``, and one embedding
(n, F) as output, as MobileFaceNet has. It only measures.
"""

from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lab.audit.reconstruction import Pictures
from lsi.errors import ConfigError, DataError
from lsi.npz_file import DAMAGED_NPZ
from training.data_sets.data import DataFile

Values = NDArray[np.float64]
Points = NDArray[np.float64]

LANDMARKS: Final = "landmarks68_x4"
QUARTERS: Final = 4
FRAME_PX: Final = 128
"""Pictures that landmarks of a data file are given for."""
CROP_PX: Final = (96, 112)
"""Width and height of the network's input."""
TEMPLATE: Final = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]]
)
"""Where eyes, nose tip and corners of the mouth lie in that input."""
AT_ONCE: Final = 64
_SIXTY_EIGHT: Final = 68


class Recogniser(Protocol):
    """Makes embeddings of cropped faces."""

    def embed(self, crops: NDArray[np.uint8], /) -> Values:
        """Embeddings (n, F) of RGB crops (n, 112, 96, 3)."""
        ...


class OnnxRecogniser:
    """A network in an ONNX file.

    Raises:
        ConfigError: onnxruntime is not installed, or the file is not such a network.
    """

    def __init__(self, path: Path) -> None:
        try:
            # An extra of its own.
            import onnxruntime  # noqa: PLC0415
        except ImportError as cause:
            found = "Recognition networks need onnxruntime."
            raise ConfigError(found, hint="pip install 'lsi-host[audit]'.") from cause
        if not path.is_file():
            raise ConfigError(f"No recognition network at {path}.", hint="an .onnx file.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as cause:  # its errors share no base but this
            found = f"{path} is no network that onnxruntime can run ({type(cause).__name__})."
            raise ConfigError(found, hint="an ONNX file of a recognition network.") from cause
        shape = self._session.get_inputs()[0].shape
        if list(shape[1:]) != [3, CROP_PX[1], CROP_PX[0]]:
            found = f"{path} takes input of shape {shape}, not (n, 3, {CROP_PX[1]}, {CROP_PX[0]})."
            raise ConfigError(found, hint="a network in the form of MobileFaceNet.")
        self._input = self._session.get_inputs()[0].name

    def embed(self, crops: NDArray[np.uint8]) -> Values:
        """See :class:`Recogniser`."""
        parts = []
        for start in range(0, len(crops), AT_ONCE):
            scaled = (crops[start : start + AT_ONCE].astype(np.float32) - 127.5) / 128
            parts.append(self._session.run(None, {self._input: scaled.transpose(0, 3, 1, 2)})[0])
        return np.concatenate(parts).astype(np.float64)


def landmarks_of(data: DataFile) -> Points | None:
    """Five points (n, 5, 2) of every row in the 128-px frame; ``None`` where the file has none.

    Raises:
        DataError: Landmarks of another shape.
    """
    if data.path.suffix != ".npz":
        return None
    try:
        with np.load(data.path, allow_pickle=False) as archive:
            if LANDMARKS not in archive:
                return None
            points = archive[LANDMARKS].astype(np.float64) / QUARTERS
    except (OSError, *DAMAGED_NPZ) as cause:
        found = f"{data.path} cannot be read any more ({type(cause).__name__})."
        raise DataError(found, hint="keep the data in place while it is in use.") from cause
    if points.shape != (len(data), _SIXTY_EIGHT, 2):
        found = f"{data.path}: {LANDMARKS} has shape {points.shape}, not ({len(data)}, 68, 2)."
        raise DataError(found, hint="iBUG's 68 points in quarters of a pixel.")
    eyes = points[:, 36:42].mean(axis=1), points[:, 42:48].mean(axis=1)
    return np.stack((*eyes, points[:, 30], points[:, 48], points[:, 54]), axis=1)


def real_embeddings(network: Recogniser, data: DataFile, rows: NDArray[np.int64], points: Points) -> Values:
    """Of the colour pictures themselves, each aligned by its own landmarks (n, 5, 2)."""
    crops = [_crop(_frame(data.picture(int(row))), points[row]) for row in rows]
    return network.embed(np.stack(crops))


def guessed_embeddings(network: Recogniser, pictures: Pictures, five: Points) -> Values:
    """Of grey reconstructions (n, H, W), all aligned alike by ``five`` points (5, 2).

    The landmarks of each true picture would tell the attacker more than the message does.
    """
    crops = []
    for picture in pictures:
        grey = Image.fromarray(np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8))
        crops.append(_crop(_frame(np.asarray(grey.convert("RGB"))), five))
    return network.embed(np.stack(crops))


def cosines(first: Values, second: Values) -> Values:
    """Cosine of each row of one with the same row of the other. Shape (n,)."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    found: Values = (first * second).sum(axis=1) / np.maximum(norms, 1e-12)
    return found


def _frame(rgb: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(rgb).resize((FRAME_PX, FRAME_PX), Image.Resampling.BICUBIC)


def _crop(frame: Image.Image, five: Points) -> NDArray[np.uint8]:
    matrix = similarity(TEMPLATE, five)
    # Pillow counts from the corners of pixels.
    matrix[:, 2] += 0.5 - matrix[:, :2] @ [0.5, 0.5]
    turned = frame.transform(
        CROP_PX, Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BILINEAR
    )
    return np.asarray(turned)


def similarity(source: Points, target: Points) -> Points:
    """The turn, scale and shift (2, 3) that takes points (n, 2) to others, by least squares."""
    first, second = source.mean(axis=0), target.mean(axis=0)
    u, v = source - first, target - second
    size = (u**2).sum()
    a = (u * v).sum() / size
    b = (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum() / size
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack((turn, second - turn @ first))
