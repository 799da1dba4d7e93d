"""Limits that an audit has to keep, and what it says of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from lab.audit.views import LITE
from lsi.errors import ConfigError
from lsi.toml_file import read_toml

Document = Mapping[str, Any]
AGG_UPPER: Final = "agg_rank1_over_chance_upper"


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest values that pass. ``docs/reference/audit.md`` says where the defaults come from."""

    attr_lite_rank1_over_chance: float = 3.0
    attr_lite_verification_auc: float = 0.65
    attr_lite_entropy_bits: float = 3.0
    agg_rank1_over_chance_upper: float = 1.1
    epsilon_violations: float = 0.0


HOLDS: Final = "holds"
UNDECIDED: Final = "not decided"
BROKEN: Final = "broken"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One limit and what was found.

    ``verdict`` is ``UNDECIDED`` where the figure alone would hold and its upper bound does not: too little
    was tried. That many windows, ``decided_by``, would tell. It counts as kept as little as a broken one.
    """

    name: str
    value: float
    limit: float
    verdict: str
    words: str
    decided_by: int | None = None

    @property
    def holds(self) -> bool:
        """Whether the limit is kept, beyond doubt."""
        return self.verdict == HOLDS

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "holds": self.holds}


WORDS: Final = {
    "attr_lite_rank1_over_chance": "finding a person again by one message, times chance",
    "attr_lite_verification_auc": "telling whether two messages are about one person (0.5 is chance)",
    "attr_lite_entropy_bits": "bits of one message, presence included",
    AGG_UPPER: "naming a person of a window of counts, times chance, upper bound",
    "epsilon_violations": "cases in which the counts lose more than the claimed epsilon",
    "static_failures": "things seen without data that do not hold",
}


def read_limits(path: Path) -> Limits:
    """Limits from a TOML file; what it does not name keeps its default.

    Raises:
        ConfigError: No such file, no TOML, an unknown name or not a number.
    """
    document = read_toml(
        path, "Limits", error=ConfigError, hint="a file such as docs/reference/audit.md shows."
    )
    known = {field.name for field in fields(Limits)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise ConfigError(f"{path} names {', '.join(unknown)}.", hint=f"only {', '.join(sorted(known))}.")
    wrong = sorted(
        name
        for name, value in document.items()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
    )
    if wrong:
        raise ConfigError(f"{path}: {', '.join(wrong)} is no number.", hint="a limit such as 3.0.")
    return Limits(**{name: float(value) for name, value in document.items()})


def verdicts(document: Document, limits: Limits) -> list[dict[str, Any]]:
    """Every limit for which there is a figure; and the static facts, of which none may fail."""
    found = []
    for name, value in figures(document).items():
        limit = 0.0 if name == "static_failures" else float(getattr(limits, name))
        verdict = Verdict(name, value, limit, HOLDS if value <= limit else BROKEN, WORDS[name])
        if name == AGG_UPPER and not verdict.holds:
            verdict = _unless_undecided(verdict, document["aggregation"]["membership"])
        found.append(verdict.document())
    return found


def overall(found: Sequence[Mapping[str, Any]]) -> str:
    """The worst of all verdicts."""
    verdicts_found = {each["verdict"] for each in found}
    return next((each for each in (BROKEN, UNDECIDED) if each in verdicts_found), HOLDS)


def _unless_undecided(broken: Verdict, member: Document) -> Verdict:
    """An upper bound above the limit says nothing against a rate below it: more windows would."""
    rate, upper = member["over_chance"], member["over_chance_99"][1]
    room = broken.limit - rate
    if not room > 0:
        return broken
    # The interval narrows at least with the root of the number of windows.
    windows = member["windows"] * ((upper - rate) / room) ** 2
    return replace(broken, verdict=UNDECIDED, decided_by=_rounded_up(windows))


def _rounded_up(count: float) -> int:
    """To one figure: the spread that it is worked out from is an estimate too."""
    step = int(10 ** math.floor(math.log10(count)))
    return math.ceil(count / step) * step


def figures(document: Document) -> dict[str, float]:
    """The figures that have limits."""
    found: dict[str, float] = {}
    lite = document["views"].get(LITE)
    if lite is not None:
        seen = lite["identification"]
        found["attr_lite_rank1_over_chance"] = seen["attackers"][seen["finder"]]["rank1_over_chance"]
        found["attr_lite_verification_auc"] = seen["attackers"][seen["verifier"]]["auc"]
        found["attr_lite_entropy_bits"] = lite["channel"]["entropy_with_presence_bits"]
    counted = document["aggregation"]
    if counted is not None:
        found[AGG_UPPER] = counted["membership"]["over_chance_99"][1]
        found["epsilon_violations"] = float(sum(not case["holds"] for case in counted["epsilon"]))
    found["static_failures"] = float(sum(not fact["holds"] for fact in document["static"]))
    return found
