from collections.abc import Sequence

import numpy as np
import pytest

from lab.audit.counts import Neighbours, Released, clopper_pearson, epsilon_bound, neighbours
from tests.lab.audit.noisy import ATTRIBUTES, SUPPRESSED_BELOW, Geometric, honest

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
