"""Wide messages in fewer numbers: a latent has a thousand, and few more directions than there are masks."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lab.audit.attack import Parts
from lab.audit.attackers import Values
from lab.audit.people import People

MOST_NUMBERS: Final = 128
LEAST_VARIANCE: Final = 1e-9
"""Of the largest direction's; below it there is rounding alone."""


@dataclass(frozen=True, slots=True, repr=False)
class Directions:
    """Principal directions of messages. Shape: ``mean`` (F,); ``axes`` (F, k), k at most ``MOST_NUMBERS``."""

    mean: Values
    axes: Values

    @classmethod
    def learned(cls, values: Values) -> "Directions":
        """Of ``values`` (n, F), the widest first."""
        mean = values.mean(axis=0)
        variances, vectors = np.linalg.eigh(np.atleast_2d(np.cov(values.T)))
        kept = np.flatnonzero(variances > LEAST_VARIANCE * variances[-1])[::-1][:MOST_NUMBERS]
        return cls(mean, vectors[:, kept])

    def of(self, values: Values) -> Values:
        """Messages (n, k) along these directions."""
        found: Values = (values - self.mean) @ self.axes
        return found


def narrowed(parts: Parts, view: str) -> Parts:
    """The same people; where ``view`` is wide, along the directions in which *learn* differs most."""
    learn = parts.learn.views[view]
    if learn.shape[1] <= MOST_NUMBERS:
        return parts
    directions = Directions.learned(learn)

    def along(people: People) -> People:
        return replace(people, views={**people.views, view: directions.of(people.views[view])})

    return Parts(along(parts.learn), along(parts.tune), along(parts.report))
