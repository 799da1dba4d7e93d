"""Which attributes may leave in which form, and why: classes as data, default-deny.

The built-in table (``attribute_classes.json``) cannot be changed by a file: a custom domain brings classes
for its own attributes only, and a name that differs in case or underscores is the same name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from lsi.errors import ConfigError, DisclosureError
from lsi.schema import check

MAX_FILE_BYTES: Final = 262_144


class AttributeClass(StrEnum):
    """What may become of an attribute's answers."""

    DEFAULT = "default"
    """They may leave per person, where the policy names them."""
    RESTRICTED = "restricted"
    """They may leave inside noisy counts, mode ``agg``, and in no other way."""
    BLOCKED = "blocked"
    """They do not leave; a signed override makes them restricted."""
    LOCAL = "local"
    """They do not leave, whoever signs."""


@dataclass(frozen=True, slots=True)
class ClassedAttribute:
    """``proxy_of`` is the mutual information, in bits, with protected attributes."""

    kind: AttributeClass
    reason: str
    proxy_of: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AttributeClasses:
    """Attributes of one or more domains by name."""

    by_name: Mapping[str, ClassedAttribute]

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", MappingProxyType(dict(self.by_name)))

    def kind_of(self, name: str) -> AttributeClass:
        """The class of ``name``; of one that no table knows: blocked."""
        found = self.by_name.get(name)
        if found is not None:
            return found.kind
        # "male" and "MA_LE" are Male: a bundle does not rename its way out.
        twin = next((each for known, each in self.by_name.items() if _folded(known) == _folded(name)), None)
        return (
            AttributeClass.BLOCKED if twin is None else max(twin.kind, AttributeClass.RESTRICTED, key=_RANK)
        )

    def reason_of(self, name: str) -> str:
        """Why it has its class."""
        found = self.by_name.get(name)
        return "no table of classes names it" if found is None else found.reason

    def with_domain(self, own: "AttributeClasses") -> "AttributeClasses":
        """These, and the attributes of another domain that they do not know.

        Raises:
            DisclosureError: ``own`` names an attribute that is known already, in any spelling.
        """
        known = {_folded(name) for name in self.by_name}
        again = sorted(name for name in own.by_name if _folded(name) in known)
        if again:
            found = f"A table of classes names {', '.join(again)} once more."
            raise DisclosureError(found, hint="classes for the attributes of your own domain only.")
        return AttributeClasses({**self.by_name, **own.by_name})

    def lifted(self, names: frozenset[str]) -> "AttributeClasses":
        """These with the blocked attributes ``names`` restricted instead.

        Raises:
            DisclosureError: One of them is not blocked, or in no table.
        """
        other = sorted(
            name
            for name in names
            if name not in self.by_name or self.by_name[name].kind is not AttributeClass.BLOCKED
        )
        if other:
            found = f"The override names {', '.join(other)}, which no table blocks."
            raise DisclosureError(found, hint="blocked attributes only; see docs/reference/policy.md.")
        changed = {
            name: ClassedAttribute(AttributeClass.RESTRICTED, each.reason, each.proxy_of)
            for name, each in self.by_name.items()
            if name in names
        }
        return AttributeClasses({**self.by_name, **changed})


@cache
def built_in_classes() -> AttributeClasses:
    """The table of the 40 CelebA attributes."""
    text = resources.files("lsi").joinpath("attribute_classes.json").read_text("utf-8")
    return _parsed(json.loads(text), "attribute_classes.json")


def read_classes(path: Path) -> AttributeClasses:
    """The classes of a custom domain.

    Raises:
        ConfigError: Not readable, not JSON, or against schema ``attribute-classes``.
    """
    hint = "a file as in docs/reference/policy.md."
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        document = json.loads(content) if len(content) <= MAX_FILE_BYTES else None
    except OSError as cause:
        raise ConfigError(f"Classes {path} cannot be read ({cause.strerror}).", hint=hint) from cause
    except (ValueError, RecursionError) as cause:
        raise ConfigError(f"Classes {path} is not JSON.", hint=hint) from cause
    return _parsed(document, str(path))


def _parsed(document: Any, source: str) -> AttributeClasses:  # noqa: ANN401 - parsed JSON
    check(document, "attribute-classes", error=ConfigError, source=source)
    return AttributeClasses(
        {
            name: ClassedAttribute(
                AttributeClass(each["class"]), each["reason"], MappingProxyType(each.get("proxy_of", {}))
            )
            for name, each in document["attributes"].items()
        }
    )


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


_RANK: Final = {kind: rank for rank, kind in enumerate(AttributeClass)}.__getitem__
"""The classes stand in the order of what they forbid."""
