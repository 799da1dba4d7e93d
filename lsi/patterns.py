"""``PatternSet``: the masks a DMD shows, one bit per mirror."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsi.frozen import digest_of, frozen_array


@dataclass(frozen=True, repr=False)
class PatternSet:
    """Binary masks in the order in which a scan shows them.

    Shape: (M, H, W) bool. ``True`` sends the light of that mirror to arm +,
    ``False`` to arm -. Row 0 is the top row of the field.
    """

    masks: NDArray[np.bool_]

    def __post_init__(self) -> None:
        frozen = frozen_array("masks", self.masks, np.bool_, (None, None, None))
        object.__setattr__(self, "masks", frozen)

    @classmethod
    def from_packed(cls, packed: bytes, shape: tuple[int, int, int]) -> "PatternSet":
        """Read ``packed`` as written by :meth:`packed`.

        Raises:
            ValueError: The number of bytes does not belong to ``shape``.
        """
        count = int(np.prod(shape))
        if min(shape) < 1 or len(packed) != (count + 7) // 8:
            message = f"{len(packed)} bytes cannot hold masks of shape {shape}"
            raise ValueError(message)
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=count)
        return cls(bits.astype(np.bool_).reshape(shape))

    def packed(self) -> bytes:
        """One bit per mirror, row-major, first mirror in the highest bit."""
        return np.packbits(self.masks.reshape(-1)).tobytes()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(M, H, W)."""
        m, h, w = self.masks.shape
        return m, h, w

    @cached_property
    def digest(self) -> str:
        """SHA-256 over geometry and packed bits."""
        return digest_of(np.array(self.shape, "<u4").tobytes(), self.packed())

    def __len__(self) -> int:
        return len(self.masks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PatternSet) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"PatternSet(shape={self.shape}, digest={self.digest[:8]})"
