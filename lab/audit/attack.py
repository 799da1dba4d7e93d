"""Every attacker on one view: taught on *learn*, chosen on *tune*, reported on *report*."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.audit.attackers import ATTACKERS, Learner, Lesson, Matcher
from lab.audit.identification import Identification, Reach, chosen, identify, reach
from lab.audit.people import People
from training.data_sets.data import tune_rows
from training.scores.figures import finite

LEARNERS_OF_4: Final = 3
"""Without a file of their own, attackers learn from so many of four people of *tune*."""


@dataclass(frozen=True, slots=True, repr=False)
class Parts:
    """Three sets of people without one in common."""

    learn: People
    tune: People
    report: People


@dataclass(frozen=True, slots=True, repr=False)
class Attacked:
    """What each attacker reached on one view, on *tune* and on *report*."""

    tune: Mapping[str, Reach]
    report: Mapping[str, Identification]

    @property
    def finder(self) -> str:
        """The attacker that found most on *tune*."""
        return chosen(self.tune, "rank1")

    @property
    def verifier(self) -> str:
        """The attacker that verified best on *tune*."""
        return chosen(self.tune, "auc")

    @property
    def rank1(self) -> Identification:
        """Figures of the finder on *report*."""
        return self.report[self.finder]

    @property
    def verification(self) -> Identification:
        """Figures of the verifier on *report*."""
        return self.report[self.verifier]

    def document(self) -> dict[str, Any]:
        """All attackers on *report*, and which of them count."""
        each = {name: finite(figures.document()) for name, figures in self.report.items()}
        return {"finder": self.finder, "verifier": self.verifier, "attackers": each}


def part_of(identity: NDArray[np.int64], *, learns_apart: bool) -> NDArray[np.str_]:
    """Of every row "learn", "tune" or "report", by person; the same in every run.

    *Report* is the half that figures are given on everywhere in this project. With ``learns_apart`` the
    attackers learn from a file of their own and the other half is *tune*; else they learn from most of it.
    """
    tune = tune_rows(identity)
    named = np.where(tune, "tune", "report")
    if not learns_apart:
        people = np.unique(identity[tune])
        learners = people[np.arange(len(people)) % (LEARNERS_OF_4 + 1) < LEARNERS_OF_4]
        named[np.isin(identity, learners)] = "learn"
    return named


def attack(
    parts: Parts,
    view: str,
    attackers: Mapping[str, Learner] = ATTACKERS,
    others: Sequence["Given"] = (),
    seed: int = 0,
) -> Attacked:
    """Attack ``view`` with every attacker, and compare ``others``, who need no lesson.

    ``seed`` draws pictures of people and what attackers begin with.

    Raises:
        DataError: Too few people to learn from or to tell apart.
    """
    learn, tune, report = parts.learn, parts.tune, parts.report
    lesson = Lesson(learn.views[view], learn.identity, learn.labels, seed)
    on_tune: dict[str, Reach] = {}
    on_report: dict[str, Identification] = {}
    for name, learned in attackers.items():
        matcher = learned(lesson)
        on_tune[name] = reach(matcher, tune.views[view], tune.identity, seed)
        on_report[name] = identify(matcher, report.views[view], report.identity, seed)
    for given in others:
        on_tune[given.name] = reach(given.matcher, tune.views[given.view], tune.identity, seed)
        on_report[given.name] = identify(given.matcher, report.views[given.view], report.identity, seed)
    return Attacked(on_tune, on_report)


@dataclass(frozen=True, slots=True, repr=False)
class Given:
    """A comparison that somebody else made ready, on a view of its own."""

    name: str
    view: str
    matcher: Matcher
