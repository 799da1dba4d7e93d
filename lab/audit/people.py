"""Who the attacks are made on: rows of people, and two pictures of each as gallery and probe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import DataError

Rows = NDArray[np.int64]

FEWEST_PEOPLE: Final = 8
"""With fewer a rank says nothing."""


@dataclass(frozen=True, slots=True, repr=False)
class People:
    """Scans of people: who was in front of the sensor, and what each kind of observer sees of it.

    Shape: ``identity`` (n,) int64; ``labels`` (n, K) int8, +1 yes, -1 no, 0 unknown, for ``label_names``;
    ``views`` name arrays (n, F) float64, one row per scan.
    """

    identity: NDArray[np.int64]
    labels: NDArray[np.int8]
    label_names: tuple[str, ...]
    views: Mapping[str, NDArray[np.float64]]

    def __post_init__(self) -> None:
        rows = len(self.identity)
        lengths = {"labels": len(self.labels), **{name: len(view) for name, view in self.views.items()}}
        wrong = {name: length for name, length in lengths.items() if length != rows}
        if wrong:
            message = f"{rows} rows of identity, but {wrong}"
            raise ValueError(message)

    def __len__(self) -> int:
        return len(self.identity)

    def __repr__(self) -> str:
        return f"People({len(self)} scans of {self.count} people, views {', '.join(self.views)})"

    @property
    def count(self) -> int:
        """How many people there are."""
        return len(np.unique(self.identity))

    def rows(self, chosen: NDArray[Any]) -> "People":
        """The rows ``chosen`` by number or by truth."""
        views = {name: view[chosen] for name, view in self.views.items()}
        return People(self.identity[chosen], self.labels[chosen], self.label_names, views)


@dataclass(frozen=True, slots=True)
class Occasions:
    """Two different pictures of each of M people: row numbers, (M,) each."""

    gallery: Rows
    probe: Rows

    def __len__(self) -> int:
        return len(self.gallery)


def occasions(identity: NDArray[np.int64], draws: int, seed: int = 0) -> list[Occasions]:
    """``draws`` times two pictures of everybody who has two or more.

    Raises:
        DataError: Fewer than ``FEWEST_PEOPLE`` such people.
    """
    generator = np.random.default_rng(seed)
    by_person = [rows for rows in rows_by_person(identity) if len(rows) > 1]
    if len(by_person) < FEWEST_PEOPLE:
        found = f"{len(by_person)} people have two pictures or more; {FEWEST_PEOPLE} are needed."
        raise DataError(found, hint="a data file with identities and several pictures of each person.")
    drawn = []
    for _ in range(draws):
        pairs = np.array([generator.permutation(rows)[:2] for rows in by_person])
        drawn.append(Occasions(pairs[:, 0], pairs[:, 1]))
    return drawn


def rows_by_person(identity: NDArray[np.int64]) -> list[Rows]:
    """Row numbers of each person, in the order of the identity numbers."""
    order = np.argsort(identity, kind="stable")
    return list(np.split(order, np.flatnonzero(np.diff(identity[order])) + 1))
