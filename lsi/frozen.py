"""Read-only arrays and digests: what every value at a border is made of."""

import hashlib
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

_Scalar = TypeVar("_Scalar", bound=np.generic)


def frozen_array(
    name: str, value: NDArray[_Scalar], dtype: DTypeLike, shape: tuple[int | None, ...]
) -> NDArray[_Scalar]:
    """A C-ordered read-only copy of ``value`` after a check of dtype and shape.

    Args:
        name: How the message calls the array.
        value: The array.
        dtype: The only dtype that is accepted; nothing is converted.
        shape: Expected shape; ``None`` stands for any length of at least 1.

    Raises:
        ValueError: Another dtype or shape. The message holds no values.
    """
    fits = len(shape) == value.ndim and all(
        found == want if want is not None else found >= 1
        for found, want in zip(value.shape, shape, strict=True)
    )
    if value.dtype != np.dtype(dtype) or not fits:
        wanted = f"{np.dtype(dtype)} of shape {shape}"
        message = f"{name} must be {wanted}, found {value.dtype} of shape {value.shape}"
        raise ValueError(message)
    copy = np.array(value, order="C", copy=True)
    copy.flags.writeable = False
    return copy


def digest_of(*parts: bytes) -> str:
    """SHA-256 over length-prefixed ``parts``, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
