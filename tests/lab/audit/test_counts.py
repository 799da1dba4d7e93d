import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from lab.audit.counts import (
    Crowd,
    Neighbours,
    Released,
    clopper_pearson,
    epsilon_bound,
    membership,
    neighbours,
)

ATTRIBUTES = 2
SUPPRESSED_BELOW = 10


@dataclass
class Geometric:
    """Two-sided geometric noise of scale ``spread``; ``epsilon`` is only what it claims."""

    epsilon: float
    spread: float
    suppressed_below: int = SUPPRESSED_BELOW
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def release(self, counts: Sequence[int]) -> Released:
        share = 1 - math.exp(-1 / self.spread)
        noise = self.generator.geometric(share, (2, len(counts)))
        noisy = [count + int(more) - int(less) for count, more, less in zip(counts, *noise, strict=True)]
        return None if noisy[0] < self.suppressed_below else tuple(max(0, each) for each in noisy)


def honest(epsilon: float) -> Geometric:
    return Geometric(epsilon, spread=(ATTRIBUTES + 1) / epsilon)


PAIRS = {pair.name: pair for pair in neighbours(ATTRIBUTES, SUPPRESSED_BELOW)}


def test_neighbours_differ_in_one_visit() -> None:
    for pair in PAIRS.values():
        change = np.subtract(pair.with_visit, pair.without)
        assert change[0] == 1
        assert set(change[1:]) in ({0}, {1})
    assert PAIRS["edge, all"].without[0] < SUPPRESSED_BELOW <= PAIRS["edge, all"].with_visit[0]


@pytest.mark.parametrize("name", PAIRS)
def test_an_honest_mechanism_is_never_above_its_claim(name: str) -> None:
    assert epsilon_bound(honest(1.0), PAIRS[name], 4000) <= 1.0


def test_the_bound_comes_near_the_truth() -> None:
    assert 0.5 < epsilon_bound(honest(1.0), PAIRS["busy, all"], 20_000) <= 1.0


def test_a_mechanism_with_a_third_of_the_noise_is_caught() -> None:
    liar = Geometric(1.0, spread=(ATTRIBUTES + 1) / 3.0)
    assert epsilon_bound(liar, PAIRS["busy, all"], 8000) > 1.0


class TrueEdge:
    """Noisy counts, but suppression by the true count: the edge tells."""

    epsilon = 1.0

    def __init__(self) -> None:
        self.noisy = Geometric(1.0, 3.0, suppressed_below=-1000)

    def release(self, counts: Sequence[int]) -> Released:
        return None if counts[0] < SUPPRESSED_BELOW else self.noisy.release(counts)


def test_suppression_by_the_true_count_is_caught_at_the_edge_alone() -> None:
    assert epsilon_bound(TrueEdge(), PAIRS["busy, none"], 2000) <= 1.0
    assert epsilon_bound(TrueEdge(), PAIRS["edge, none"], 2000) > 1.0


def test_what_was_seen_while_choosing_is_not_counted() -> None:
    rounds = 200

    class ForgetsItself:
        """Tells everything in the first half of its releases of each window, then nothing."""

        epsilon = 0.0
        calls = 0

        def release(self, counts: Sequence[int]) -> Released:
            self.calls += 1
            return tuple(counts) if (self.calls - 1) % rounds < rounds // 2 else (0, 0, 0)

    assert epsilon_bound(ForgetsItself(), PAIRS["busy, all"], rounds) == 0


def test_a_mechanism_that_says_nothing_loses_nothing() -> None:
    class Silent:
        epsilon = 0.0

        def release(self, counts: Sequence[int]) -> Released:  # noqa: ARG002 - of the protocol
            return None

    pair = Neighbours("any", (20, 10), (21, 11))
    assert epsilon_bound(Silent(), pair, 400) == 0


def test_exact_intervals_are_those_of_the_books() -> None:
    low, high = clopper_pearson(0, 10, 0.025)
    assert [low, high] == pytest.approx([0, 0.3085], abs=1e-4)
    assert list(clopper_pearson(10, 10, 0.025)) == pytest.approx([0.6915, 1], abs=1e-4)
    assert list(clopper_pearson(5, 20, 0.025)) == pytest.approx([0.0866, 0.4910], abs=1e-4)


def crowd(visits: int = 12) -> Crowd:
    answers = np.random.default_rng(0).integers(0, 2, (8, ATTRIBUTES))
    answers[0] = 1
    answers[1] = 0
    return Crowd(answers, answers.astype(np.float64), visits)


def quiet(_done: int, _total: int) -> None:
    return


def test_without_noise_a_lonely_visit_is_named_as_far_as_its_answers_tell() -> None:
    bare = Geometric(9.0, spread=0.01, suppressed_below=0)
    found = membership(bare, crowd(visits=1), 2000, quiet)
    groups = len(np.unique(crowd().shown, axis=0))
    assert found["rate"] == pytest.approx(groups / 8, abs=0.04)
    low, high = found["over_chance_99"]
    assert low < found["over_chance"] < high


def test_with_noise_the_window_names_hardly_anybody() -> None:
    told: list[tuple[int, int]] = []
    found = membership(honest(0.2), crowd(visits=40), 11_000, lambda *each: told.append(each))
    assert (found["people"], found["visits"], found["windows"], found["chance"]) == (8, 40, 11_000, 1 / 8)
    assert found["over_chance"] == pytest.approx(1.0, abs=0.12)
    assert told == [(10_000, 11_000), (11_000, 11_000)]


def test_who_expects_the_wrong_answers_finds_fewer() -> None:
    bare = Geometric(9.0, spread=0.01, suppressed_below=0)
    known = crowd(visits=1)
    vague = Crowd(known.shown, np.full(known.shown.shape, 0.5), 1)
    assert membership(bare, vague, 2000, quiet)["over_chance"] == pytest.approx(1.0, abs=0.25)
    with pytest.raises(ValueError, match="expected"):
        Crowd(known.shown, known.expected[:, :1], 1)


def test_suppressed_windows_are_guessed_blindly() -> None:
    found = membership(honest(1.0), crowd(visits=1), 4000, quiet)
    assert found["over_chance"] == pytest.approx(1.0, abs=0.25)
