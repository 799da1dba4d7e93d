from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lab.audit.attackers import Nearest
from lab.audit.identification import (
    FAR,
    FPIR,
    Reach,
    chosen,
    hits,
    identified,
    identify,
    open_set,
    reach,
    verify,
)
from training.scores.figures import auc

PEOPLE = 40
IDENTITY = np.repeat(np.arange(PEOPLE), 3)
Rows = NDArray[np.int64]


def same(probe: Rows, gallery: Rows) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (IDENTITY[probe][:, None] == IDENTITY[gallery]).astype(np.float64)
    return found


def nothing(probe: Rows, gallery: Rows) -> NDArray[np.float64]:
    return np.zeros((len(probe), len(gallery)))


def test_who_knows_everything_reaches_everything() -> None:
    found = identified(same, IDENTITY)
    assert (found.rank1, found.rank10, found.auc, found.eer, found.tar) == (1, 1, 1, 0, 1)
    assert found.rank1_over_chance == PEOPLE
    assert set(found.rank1_95) == {1}
    assert found.open_set == 1


def test_who_knows_nothing_is_at_chance_in_every_figure() -> None:
    found = identified(nothing, IDENTITY)
    assert found.people == PEOPLE
    assert found.rank1 == pytest.approx(1 / PEOPLE)
    assert found.rank1_over_chance == pytest.approx(1)
    assert found.rank10 == pytest.approx(10 / PEOPLE)
    assert [found.auc, found.eer] == pytest.approx([0.5, 0.5])
    assert found.tar == pytest.approx(FAR)
    assert found.open_set == pytest.approx(found.open_set_chance)
    assert found.open_set_chance == pytest.approx(FPIR / (PEOPLE // 2))


def test_a_group_that_looks_alike_shares_what_it_gains() -> None:
    scores = np.kron(np.eye(4), np.ones((5, 5))).astype(np.float64)
    assert hits([scores], 1) == pytest.approx(np.full(20, 1 / 5))
    assert hits([scores], 3) == pytest.approx(np.full(20, 3 / 5))
    assert hits([scores], 10) == pytest.approx(np.ones(20))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_ties_gain_what_breaking_them_at_random_would(seed: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, (6, 6)).astype(np.float64)
    broken = [hits([scores + 1e-6 * generator.random((6, 6))], 2) for _ in range(400)]
    assert np.mean(broken, axis=0) == pytest.approx(hits([scores], 2), abs=0.12)


def test_areas_are_those_of_the_project_and_errors_cross_where_they_are_equal() -> None:
    scores = np.random.default_rng(0).normal(size=(30, 30)) + 1.5 * np.eye(30)
    found = verify([scores])
    pairs = np.eye(30, dtype=bool).ravel()
    assert found["auc"] == pytest.approx(auc(scores.ravel(), pairs))
    far = (scores[~np.eye(30, dtype=bool)] >= np.quantile(np.diag(scores), found["eer"])).mean()
    assert far == pytest.approx(found["eer"], abs=0.05)
    low, high = found["auc_95"]
    assert low < found["auc"] < high


def test_intervals_are_over_people_and_widen_with_fewer() -> None:
    def partly(probe: Rows, gallery: Rows) -> NDArray[np.float64]:
        found: NDArray[np.float64] = same(probe, gallery) * (IDENTITY[probe] % 2 == 0)[:, None]
        return found

    found = identified(partly, IDENTITY)
    low, high = found.rank1_95
    expected = 1.96 * np.sqrt(0.25 / PEOPLE)
    assert found.rank1 == pytest.approx(0.5 + 0.5 / PEOPLE)
    assert high - found.rank1 == pytest.approx(expected, rel=0.25)
    assert found.rank1 - low == pytest.approx(expected, rel=0.25)


def test_an_open_set_lets_few_strangers_through() -> None:
    generator = np.random.default_rng(1)

    def matrix(gain: float) -> NDArray[np.float64]:
        return generator.normal(size=(200, 200)) + gain * np.eye(200)

    weak, strong = open_set([matrix(1.0)]), open_set([matrix(6.0)])
    assert weak < 0.15
    assert strong > 0.8


def test_the_attacker_is_chosen_by_the_figure_asked_for() -> None:
    found = {"finds": Reach(0.4, 0.6), "verifies": Reach(0.3, 0.9)}
    assert chosen(found, "rank1") == "finds"
    assert chosen(found, "auc") == "verifies"


def test_attackers_are_chosen_by_the_figures_that_are_reported() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=(PEOPLE, 2)), 3, axis=0)
    values += 0.5 * np.random.default_rng(1).normal(size=values.shape)
    matcher = Nearest.learned_from(values)
    found, reached = identify(matcher, values, IDENTITY), reach(matcher, values, IDENTITY)
    assert (reached.rank1, reached.auc) == (found.rank1, found.auc)
    assert 0.1 < reached.rank1 < 0.9


@pytest.mark.parametrize("compare", [same, nothing])
def test_the_same_seed_gives_the_same_figures(compare: Callable[[Rows, Rows], NDArray[np.float64]]) -> None:
    assert identified(compare, IDENTITY) == identified(compare, IDENTITY)
