"""``DisclosurePolicy``: what may leave the device. Default-deny."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from lsi.attribute_classes import AttributeClass, AttributeClasses, built_in_classes
from lsi.attributes import ATTR_LITE
from lsi.errors import DisclosureError
from lsi.frozen import digest_of
from lsi.topics import Kind


class PayloadMode(StrEnum):
    """Payload modes, the most private first."""

    AGG = "agg"
    ATTR_LITE = "attr-lite"
    ATTR = "attr"
    LATENT = "latent"

    @property
    def rank(self) -> int:
        """0 for the most private one."""
        return list(PayloadMode).index(self)


RESULT_KINDS: Final[Mapping[PayloadMode, frozenset[Kind]]] = MappingProxyType(
    {
        PayloadMode.AGG: frozenset({Kind.AGG}),
        PayloadMode.ATTR_LITE: frozenset({Kind.ATTR, Kind.EVENT}),
        PayloadMode.ATTR: frozenset({Kind.ATTR, Kind.EVENT}),
        PayloadMode.LATENT: frozenset({Kind.ATTR, Kind.EVENT, Kind.LATENT}),
    }
)
"""What tells of a scene, per payload mode. Everything else tells of the sensor."""

_PER_PERSON: Final = frozenset({AttributeClass.DEFAULT})
_COUNTED: Final = frozenset({AttributeClass.DEFAULT, AttributeClass.RESTRICTED})


@dataclass(frozen=True, slots=True)
class DisclosurePolicy:
    """The attributes that may leave, in which form; everything not named here stays.

    ``classes`` tell which attributes a mode may let out at all.

    Raises:
        DisclosureError: An attribute that the mode does not let out, with the reason.
    """

    allowed: frozenset[str] = ATTR_LITE
    mode: PayloadMode = PayloadMode.ATTR_LITE
    classes: AttributeClasses = field(default_factory=built_in_classes, repr=False, compare=False)

    def __post_init__(self) -> None:
        beyond = sorted(self.allowed - permitted(self.allowed, self.mode, self.classes))
        if beyond:
            found = f"Mode '{self.mode}' does not let out {', '.join(map(self._described, beyond))}."
            raise DisclosureError(found, hint=_HINTS[self.mode])

    def narrowed(self, allowed: frozenset[str], mode: PayloadMode | None = None) -> "DisclosurePolicy":
        """This policy, and of it only what ``allowed`` and ``mode`` let out too. It never widens."""
        narrower = min(self.mode, mode or self.mode, key=lambda each: each.rank)
        kept = permitted(self.allowed & allowed, narrower, self.classes)
        return DisclosurePolicy(kept, narrower, self.classes)

    def exceeds(self, other: "DisclosurePolicy") -> bool:
        """Whether it lets out anything that ``other`` does not: a wider mode or another attribute."""
        return self.mode.rank > other.mode.rank or not self.allowed <= other.allowed

    @property
    def digest(self) -> str:
        """SHA-256 that changes with every change of what may leave."""
        return digest_of(self.mode.encode(), *(name.encode() for name in sorted(self.allowed)))

    def _described(self, name: str) -> str:
        return f"{name} ({self.classes.kind_of(name)}: {self.classes.reason_of(name)})"


def permitted(names: frozenset[str], mode: PayloadMode, classes: AttributeClasses) -> frozenset[str]:
    """Those of ``names`` that ``mode`` may let out at all."""
    if mode is PayloadMode.ATTR_LITE:
        return names & ATTR_LITE
    may = _COUNTED if mode is PayloadMode.AGG else _PER_PERSON
    return frozenset(name for name in names if classes.kind_of(name) in may)


_HINTS: Final = {
    PayloadMode.AGG: "attributes of class default or restricted; an override for blocked ones.",
    PayloadMode.ATTR_LITE: f"only {', '.join(sorted(ATTR_LITE))}.",
    PayloadMode.ATTR: "attributes of class default; mode 'agg' counts restricted ones.",
    PayloadMode.LATENT: "attributes of class default; mode 'agg' counts restricted ones.",
}
