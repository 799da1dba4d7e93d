"""``DisclosurePolicy``: what may leave the device. Default-deny."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from lsi.attributes import ATTR_LITE
from lsi.errors import DisclosureError
from lsi.frozen import digest_of
from lsi.topics import Kind


class PayloadMode(StrEnum):
    """Payload modes, the most private first. This version publishes ``attr-lite``."""

    AGG = "agg"
    ATTR_LITE = "attr-lite"
    ATTR = "attr"
    LATENT = "latent"


RESULT_KINDS: Final[Mapping[PayloadMode, frozenset[Kind]]] = MappingProxyType(
    {
        PayloadMode.AGG: frozenset(),
        PayloadMode.ATTR_LITE: frozenset({Kind.ATTR, Kind.EVENT}),
        PayloadMode.ATTR: frozenset({Kind.ATTR, Kind.EVENT}),
        PayloadMode.LATENT: frozenset({Kind.ATTR, Kind.EVENT}),
    }
)
"""What tells of a scene, per payload mode. Everything else tells of the sensor."""


@dataclass(frozen=True, slots=True)
class DisclosurePolicy:
    """The attributes that may leave; everything not named here stays.

    Raises:
        DisclosureError: An attribute outside the mode's list.
    """

    allowed: frozenset[str] = ATTR_LITE
    mode: PayloadMode = PayloadMode.ATTR_LITE

    def __post_init__(self) -> None:
        if self.mode is not PayloadMode.ATTR_LITE:
            raise DisclosureError(f"Mode '{self.mode}' is not published.", hint="mode 'attr-lite'.")
        beyond = sorted(self.allowed - ATTR_LITE)
        if beyond:
            found = f"Mode 'attr-lite' does not let out {', '.join(beyond)}."
            raise DisclosureError(found, hint=f"only {', '.join(sorted(ATTR_LITE))}.")

    def narrowed(self, allowed: frozenset[str]) -> "DisclosurePolicy":
        """This policy, and of it only what ``allowed`` names too. It never widens."""
        return DisclosurePolicy(self.allowed & allowed, self.mode)

    @property
    def digest(self) -> str:
        """SHA-256 that changes with every change of what may leave."""
        return digest_of(self.mode.encode(), *(name.encode() for name in sorted(self.allowed)))
