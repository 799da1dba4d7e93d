"""Networks that measure faces and train nothing: recognition by an ONNX file that the user names."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lsi.errors import ConfigError, DataError
from lsi.npz_file import DAMAGED_NPZ

FRAME_PX: Final = 128
"""The frame in which landmarks are given; smaller pictures are enlarged to it."""
_TEMPLATE: Final = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]]
)
"""Eyes, nose and mouth corners in the network's crop of 96 x 112, x first."""
_CROP: Final = (96, 112)
NOISE: Final = "landmark_noise"
"""Left out where landmarks are exact (renders)."""
MOST_NOISE: Final = 3.0
"""``landmark_noise`` above which the labels are not used."""


def onnx_session(path: Path) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    """A network on one processor.

    Raises:
        ConfigError: onnxruntime is missing.
        DataError: Not a network that it can load.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - an extra of its own
    except ImportError as cause:
        found = "This network needs onnxruntime, which is not installed."
        raise ConfigError(found, hint="pip install 'lsi-host[onnx]'.") from cause
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as cause:  # onnxruntime has an exception class for every kind of bad file
        found = f"{path} is not a network that onnxruntime can load ({type(cause).__name__})."
        raise DataError(found, hint="an ONNX file.") from cause


class Recogniser:
    """Pictures and landmarks to embeddings of length 1.

    Raises:
        ConfigError: onnxruntime is missing.
        DataError: The file is not a network with one input (n, 3, 112, 96).
    """

    def __init__(self, path: Path) -> None:
        self._session = onnx_session(path)
        self._input = self._session.get_inputs()[0].name

    def embeddings(
        self, pictures: NDArray[np.uint8], landmarks: NDArray[np.floating[Any]]
    ) -> NDArray[np.float32]:
        """Embeddings (n, E) of pictures (n, R, R, 3); ``landmarks`` (n, 68, 2) in the frame of 128."""
        parts = []
        pairs = zip(pictures, landmarks, strict=True)
        crops = np.stack([_crop(picture, points) for picture, points in pairs])
        for part in np.array_split(crops, max(1, len(crops) // 64)):
            shown = ((part.astype(np.float32) - 127.5) / 128).transpose(0, 3, 1, 2)
            parts.append(self._session.run(None, {self._input: shown})[0])
        found = np.concatenate(parts)
        normed: NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
        return normed


def read_landmarks(path: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """Landmarks (n, 68, 2) of a data file in its frame of 128, and which rows can be used; None without.

    Raises:
        DataError: The file is damaged or its landmarks have another shape.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if "landmarks68_x4" not in archive:
                return None
            points = archive["landmarks68_x4"].astype(np.float64) / 4
            exact = np.zeros(len(points))
            noise = archive[NOISE].astype(np.float64) if NOISE in archive else exact
    except (OSError, *DAMAGED_NPZ) as cause:
        raise DataError(f"{path} holds no landmarks that can be read ({type(cause).__name__}).") from cause
    if points.ndim != 3 or points.shape[1:] != (68, 2) or len(noise) != len(points):  # noqa: PLR2004 - (n, 68, 2)
        raise DataError(f"{path}: landmarks of shape {points.shape}, not (n, 68, 2).")
    return points, (noise >= 0) & (noise <= MOST_NOISE)


def _crop(picture: NDArray[np.uint8], landmarks: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """The network's crop (112, 96, 3), placed by five points of the true picture."""
    image = Image.fromarray(picture).resize((FRAME_PX, FRAME_PX), Image.Resampling.BILINEAR)
    middle = [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)]
    five = np.array([*middle, landmarks[30], landmarks[48], landmarks[54]])
    matrix = _similarity(_TEMPLATE, five)
    matrix[:, 2] += 0.5 - matrix[:, :2] @ [0.5, 0.5]  # Pillow counts from pixel corners
    crop = image.transform(
        _CROP, Image.Transform.AFFINE, tuple(matrix.ravel().tolist()), Image.Resampling.BILINEAR
    )
    return np.asarray(crop)


def _similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation, scale and shift (2, 3) that take ``source`` points nearest to ``target``."""
    at, to = source.mean(axis=0), target.mean(axis=0)
    u, v = source - at, target - to
    a = (u * v).sum() / (u**2).sum()
    b = (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum() / (u**2).sum()
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack((turn, to - turn @ at))
