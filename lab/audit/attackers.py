"""Attackers who try to tell whether two messages are about one person.

Each learns from people who are nobody in the test. Letters: n rows, F numbers a row, P probes,
G gallery entries. A score is larger where one person is likelier.

Ref: Prince and Elder, "Probabilistic linear discriminant analysis", ICCV 2007, in the two-covariance
form of Bruemmer and de Villiers, "The speaker partitioning problem", Odyssey 2010.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lab.audit.people import rows_by_person
from lsi.errors import DataError

Values = NDArray[np.float64]

FEWEST_LEARNED: Final = 4
"""People with two pictures below which nothing is learned."""
MOST_STATES: Final = 512
"""Up to so many different messages their frequencies are counted,"""
SEEN_EACH: Final = 4
"""if each is seen so often on average."""
MOST_PAIRS: Final = 20_000
LOGISTIC_RIDGE: Final = 1e-3
LOGISTIC_STEPS: Final = 25
_FLOOR: Final = 1e-6
"""Least variance, in units of the mean one."""


class Matcher(Protocol):
    """Compares messages after learning."""

    def scores(self, probes: Values, gallery: Values, /) -> Values:
        """Scores (P, G) of probes (P, F) against a gallery (G, F)."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Lesson:
    """What an attacker learns from. Shape: ``values`` (n, F); ``identity`` (n,); ``labels`` (n, K).

    ``seed`` is for whatever the attacker draws by lot.
    """

    values: Values
    identity: NDArray[np.int64]
    labels: NDArray[np.int8]
    seed: int = 0

    def __post_init__(self) -> None:
        _, counts = np.unique(self.identity, return_counts=True)
        if (counts > 1).sum() < FEWEST_LEARNED:
            found = f"{(counts > 1).sum()} people with two pictures are too few to learn from."
            raise DataError(found, hint="more people, or --learn FILE.")


Learner = Callable[[Lesson], Matcher]


@dataclass(frozen=True, slots=True, repr=False)
class Nearest:
    """Squared distance after every number is brought to unit variance."""

    mean: Values
    scale: Values

    @classmethod
    def learned(cls, lesson: Lesson) -> "Nearest":
        """Mean and spread of the lesson."""
        return cls.learned_from(lesson.values)

    @classmethod
    def learned_from(cls, values: Values) -> "Nearest":
        """Mean and spread of ``values`` (n, F)."""
        spread = values.std(axis=0)
        # A number that never changed tells nothing.
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        return cls(values.mean(axis=0), scale)

    def scores(self, probes: Values, gallery: Values) -> Values:
        """See :class:`Matcher`."""
        x, y = ((values - self.mean) * self.scale for values in (probes, gallery))
        distances: Values = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
        return -distances


@dataclass(frozen=True, slots=True, repr=False)
class Likelihood:
    """Log-likelihood ratio of one person against two, all Gaussian: ``x'Ax + y'Ay + 2 x'Cy``."""

    mean: Values
    own: Values
    cross: Values

    @classmethod
    def learned(cls, lesson: Lesson) -> "Likelihood":
        """Covariances between and within people, by moments."""
        mean = lesson.values.mean(axis=0)
        centred = lesson.values - mean
        within = within_people(centred, lesson.identity)
        total = centred.T @ centred / len(centred)
        between = _positive(total - within, floor=0.0)
        within = _positive(within, floor=_FLOOR)
        # Whitened within people, both covariances are diagonal, and so is every inverse.
        root = _inverse_root(within)
        variances, vectors = np.linalg.eigh(root @ between @ root)
        ratio = np.clip(variances, 0, None)
        basis = root @ vectors
        single, both = 1 + ratio, 1 + 2 * ratio
        own = -(ratio**2) / (2 * single * both)
        cross = ratio / (2 * both)
        return cls(mean, (basis * own) @ basis.T, (basis * cross) @ basis.T)

    def scores(self, probes: Values, gallery: Values) -> Values:
        """See :class:`Matcher`."""
        x, y = probes - self.mean, gallery - self.mean
        alone = ((x @ self.own) * x).sum(axis=1)[:, None] + ((y @ self.own) * y).sum(axis=1)
        both: Values = alone + 2 * (x @ self.cross) @ y.T
        return both


@dataclass(frozen=True, slots=True, repr=False)
class Frequencies:
    """Log-likelihood ratio from how often two messages came from one person. ``ratio`` is (S + 1, S + 1).

    Message S is one that the lesson does not hold: it tells nothing.
    """

    states: Values
    ratio: Values

    @classmethod
    def learned(cls, lesson: Lesson) -> "Frequencies":
        """Counted over pairs of pictures, every person with the same weight."""
        states, state_of = np.unique(lesson.values, axis=0, return_inverse=True)
        count = len(states)
        together, people = np.zeros((count, count)), 0
        for rows in rows_by_person(lesson.identity):
            if len(rows) > 1:
                tally = np.bincount(state_of[rows], minlength=count)
                pairs = len(rows) * (len(rows) - 1)
                together += (np.outer(tally, tally) - np.diag(tally)) / pairs
                people += 1
        share = np.bincount(state_of, minlength=count) / len(state_of)
        apart = np.outer(share, share)
        # As if as many pairs of strangers as there are messages had been seen too.
        smoothed = (together + count * apart) / (people + count)
        return cls(states, np.pad(np.log(smoothed / apart), (0, 1)))

    def scores(self, probes: Values, gallery: Values) -> Values:
        """See :class:`Matcher`."""
        found: Values = self.ratio[np.ix_(self._places(probes), self._places(gallery))]
        return found

    def _places(self, values: Values) -> NDArray[np.intp]:
        same = (values[:, None, :] == self.states).all(axis=2)
        return np.where(same.any(axis=1), same.argmax(axis=1), len(self.states))


@dataclass(frozen=True, slots=True, repr=False)
class Logistic:
    """Logistic regression on ``(x - y)^2`` and ``x y`` of every number: same person or not."""

    base: Nearest
    squared: Values
    product: Values

    @classmethod
    def learned(cls, lesson: Lesson) -> "Logistic":
        """From up to ``MOST_PAIRS`` pairs of each kind, drawn with a fixed seed."""
        base = Nearest.learned(lesson)
        standard = (lesson.values - base.mean) * base.scale
        same, other = same_pairs(lesson.identity, MOST_PAIRS), strange_pairs(lesson.identity, MOST_PAIRS)
        first, second = standard[np.r_[same[:, 0], other[:, 0]]], standard[np.r_[same[:, 1], other[:, 1]]]
        features = np.hstack(((first - second) ** 2, first * second))
        weights = logistic_weights(features, np.arange(len(features)) < len(same))
        width = standard.shape[1]
        return cls(base, weights[:width], weights[width:])

    def scores(self, probes: Values, gallery: Values) -> Values:
        """See :class:`Matcher`."""
        x, y = ((values - self.base.mean) * self.base.scale for values in (probes, gallery))
        alone = (x**2 @ self.squared)[:, None] + y**2 @ self.squared
        both: Values = alone + (x * (self.product - 2 * self.squared)) @ y.T
        return both


@dataclass(frozen=True, slots=True, repr=False)
class Cosine:
    """Angle between embeddings, as recognition networks are used."""

    @classmethod
    def learned(cls, _lesson: Lesson) -> "Cosine":
        """Nothing is learned."""
        return cls()

    def scores(self, probes: Values, gallery: Values) -> Values:
        """See :class:`Matcher`."""
        x, y = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (probes, gallery))
        product: Values = x @ y.T
        return product


def likelihood(lesson: Lesson) -> Matcher:
    """By counted frequencies where the messages are few, else by Gaussians."""
    if are_few(lesson.values):
        return Frequencies.learned(lesson)
    return Likelihood.learned(lesson)


def are_few(messages: Values) -> bool:
    """Whether ``messages`` (n, F) are repetitions of a few, as answers are and measurements are not."""
    count = len(np.unique(messages, axis=0))
    return count <= min(MOST_STATES, len(messages) // SEEN_EACH)


def network(lesson: Lesson) -> Matcher:
    """A small network that was taught people and attributes; see ``lab.audit.embedding``."""
    # PyTorch takes seconds to import and is an extra.
    from lab.audit.embedding import Embedding  # noqa: PLC0415

    return Embedding.learned(lesson)


ATTACKERS: Final[Mapping[str, Learner]] = {
    "nearest": Nearest.learned,
    "likelihood": likelihood,
    "logistic": Logistic.learned,
    "mlp": network,
}


def within_people(centred: Values, identity: NDArray[np.int64]) -> Values:
    """Covariance of the pictures of one person, over people with two or more. Shape (F, F)."""
    _, person_of, counts = np.unique(identity, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), centred.shape[1]))
    np.add.at(sums, person_of, centred)
    kept = counts[person_of] > 1
    rest = (centred - (sums / counts[:, None])[person_of])[kept]
    freedom = kept.sum() - (counts > 1).sum()
    covariance: Values = rest.T @ rest / freedom
    return covariance


def same_pairs(identity: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Row numbers (m, 2) of two pictures of one person; at most ``most``, drawn with a fixed seed."""
    found = []
    for rows in rows_by_person(identity):
        first, second = np.triu_indices(len(rows), 1)
        found.append(np.stack((rows[first], rows[second]), axis=1))
    pairs = np.concatenate(found)
    chosen = np.random.default_rng(0).permutation(len(pairs))[:most]
    drawn: NDArray[np.int64] = pairs[chosen]
    return drawn


def strange_pairs(identity: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Row numbers (m, 2) of pictures of two people, drawn with a fixed seed."""
    pairs = np.random.default_rng(1).integers(0, len(identity), (most, 2))
    apart: NDArray[np.int64] = pairs[identity[pairs[:, 0]] != identity[pairs[:, 1]]]
    return apart


def logistic_weights(features: Values, labels: NDArray[np.bool_]) -> Values:
    """Weights (F,) of logistic regression with a ridge, by Newton's steps; the intercept is left out."""
    design = np.hstack((features, np.ones((len(features), 1))))
    scale = np.maximum(np.sqrt((design**2).mean(axis=0)), 1e-12)
    design = design / scale
    ridge = LOGISTIC_RIDGE * len(design) * np.eye(design.shape[1])
    weights = np.zeros(design.shape[1])
    for _ in range(LOGISTIC_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (labels - chance) - ridge @ weights
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + ridge
        weights = weights + np.linalg.solve(curve, slope)
    found: Values = (weights / scale)[:-1]
    return found


def _positive(matrix: Values, floor: float) -> Values:
    """The nearest covariance whose variances are at least ``floor`` times the mean variance."""
    variances, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    least = floor * max(float(np.mean(variances)), 1e-12)
    found: Values = (vectors * np.maximum(variances, least)) @ vectors.T
    return found


def _inverse_root(matrix: Values) -> Values:
    variances, vectors = np.linalg.eigh(matrix)
    root: Values = (vectors / np.sqrt(np.maximum(variances, 1e-300))) @ vectors.T
    return root
