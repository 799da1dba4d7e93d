"""Which yes/no questions a model answers, and its answers before any decision."""

import math
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
    output that follows the attributes: is there a face at all? ``abstain`` holds a band
    (low, high) around each threshold; a logit in it, ``high`` excluded, is too close to call.
    Without bands every logit is answered.
    """

    names: tuple[str, ...]
    thresholds: tuple[float, ...]
    presence_threshold: float
    abstain: tuple[tuple[float, float], ...] = ()

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
        if not all(map(math.isfinite, (*self.thresholds, self.presence_threshold))):
            message = "thresholds must be finite"
            raise ValueError(message)
        if self.abstain:
            self._check_bands()

    def _check_bands(self) -> None:
        if len(self.abstain) != len(self.names):
            message = f"{len(self.names)} names but {len(self.abstain)} bands in which to abstain"
            raise ValueError(message)
        for name, threshold, (low, high) in zip(self.names, self.thresholds, self.abstain, strict=True):
            # A comparison with NaN is false; infinities would never answer.
            if not -math.inf < low <= threshold <= high < math.inf:
                message = f"the band in which {name} abstains must be finite and hold its threshold"
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

    def decisions(self) -> dict[str, bool | None]:
        """Yes, no, or ``None`` for too close to call, for every attribute of the schema."""
        thresholds = self.schema.thresholds
        bands = self.schema.abstain or zip(thresholds, thresholds, strict=True)
        return {
            name: None if low <= value < high else value >= threshold
            for name, value, threshold, (low, high) in zip(
                self.schema.names, map(float, self.values[:-1]), thresholds, bands, strict=True
            )
        }

    def __repr__(self) -> str:
        return f"AttributeLogits(shape={self.values.shape})"
