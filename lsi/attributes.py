"""Which yes/no questions a model answers, and its answers before any decision."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.frozen import frozen_array

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,47}")

ATTR_LITE: Final = frozenset({"Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat"})
"""The attributes that may leave by default (2.4 bit of identity on CelebA)."""


@dataclass(frozen=True, slots=True)
class AttributeSchema:
    """Names and decision thresholds of a model's attributes, in output order.

    A logit at or above its threshold means yes. ``presence_threshold`` belongs to the
    output that follows the attributes: is there a face at all?
    """

    names: tuple[str, ...]
    thresholds: tuple[float, ...]
    presence_threshold: float

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not self.names:
            message = f"attribute names must be distinct and at least one: {self.names}"
            raise ValueError(message)
        for name in self.names:
            if not NAME.fullmatch(name):
                message = f"attribute name {name!r} must match {NAME.pattern}"
                raise ValueError(message)
        if len(self.thresholds) != len(self.names):
            message = f"{len(self.names)} names but {len(self.thresholds)} thresholds"
            raise ValueError(message)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, repr=False)
class AttributeLogits:
    """Head output before any decision. Never leaves the device.

    Shape: ``values`` (K + 1,) float32: K attributes in schema order, then presence.
    """

    values: NDArray[np.float32]
    schema: AttributeSchema

    def __post_init__(self) -> None:
        shape = (len(self.schema) + 1,)
        object.__setattr__(self, "values", frozen_array("logits", self.values, np.float32, shape))

    @property
    def presence(self) -> bool:
        """Whether the presence output reaches its threshold."""
        return bool(self.values[-1] >= self.schema.presence_threshold)

    def decisions(self) -> dict[str, bool]:
        """Yes or no for every attribute of the schema."""
        decided = self.values[:-1] >= np.array(self.schema.thresholds)
        return dict(zip(self.schema.names, map(bool, decided), strict=True))

    def __repr__(self) -> str:
        return f"AttributeLogits(shape={self.values.shape})"
