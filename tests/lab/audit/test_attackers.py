import numpy as np
import pytest
from numpy.typing import NDArray

from lab.audit.attack import attack
from lab.audit.attackers import (
    ATTACKERS,
    Cosine,
    Frequencies,
    Lesson,
    Likelihood,
    Nearest,
    likelihood,
    logistic_weights,
    same_pairs,
    strange_pairs,
)
from lsi.errors import DataError
from tests.lab.audit.crowd import gaussian_people, three_parts


def lesson(own: float, width: int = 4, people: int = 150) -> Lesson:
    crowd = gaussian_people(people, width, own)
    return Lesson(crowd.views["numbers"], crowd.identity, crowd.labels)


@pytest.mark.parametrize("name", ATTACKERS)
def test_every_attacker_finds_people_whose_numbers_are_their_own(name: str) -> None:
    found = attack(three_parts(60, 6, own=1.5), "numbers", {name: ATTACKERS[name]})
    assert found.rank1.rank1_over_chance > 8
    assert found.verification.auc > 0.85


@pytest.mark.parametrize("name", ATTACKERS)
def test_no_attacker_finds_anybody_in_noise(name: str) -> None:
    found = attack(three_parts(50, 4, own=0.0), "numbers", {name: ATTACKERS[name]})
    low, _ = found.rank1.rank1_over_chance_95
    assert low <= 1.3
    assert found.verification.auc == pytest.approx(0.5, abs=0.06)


def log_normal(values: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    quadratic = values @ np.linalg.solve(covariance, values)
    return float(-0.5 * (quadratic + np.linalg.slogdet(covariance)[1]))


def test_the_likelihood_is_the_ratio_of_two_gaussians() -> None:
    taught = lesson(own=1.0, width=3)
    matcher = Likelihood.learned(taught)
    centred = taught.values - taught.values.mean(axis=0)
    within = (
        0.5
        * np.mean(
            [
                np.outer(a - b, a - b)
                for i in range(0, 600, 4)
                for a in centred[i : i + 4]
                for b in centred[i : i + 4]
            ],
            axis=0,
        )
        * (4 / 3)
    )
    total = centred.T @ centred / len(centred)
    between = total - within
    joint = np.block([[total, between], [between, total]])
    probes, gallery = centred[:5], centred[7:12]

    def ratio(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return log_normal(np.r_[x, y], joint) - log_normal(x, total) - log_normal(y, total)

    expected = np.array([[ratio(x, y) for y in gallery] for x in probes])
    found = matcher.scores(taught.values[:5], taught.values[7:12])
    # Up to one constant, which no figure depends on.
    assert found - found[0, 0] == pytest.approx(expected - expected[0, 0], rel=1e-6, abs=1e-6)


def test_few_messages_are_counted_many_are_fitted() -> None:
    few = Lesson(np.sign(lesson(1.0).values), lesson(1.0).identity, lesson(1.0).labels)
    assert isinstance(likelihood(few), Frequencies)
    assert isinstance(likelihood(lesson(1.0)), Likelihood)


def test_counted_frequencies_are_those_of_pairs_of_one_person() -> None:
    values = np.array([[1.0], [1.0], [-1.0], [-1.0]] * 200)
    taught = Lesson(values, np.arange(800) // 2, np.zeros((800, 0), np.int8))
    matcher = Frequencies.learned(taught)
    scores = matcher.scores(np.array([[1.0], [0.5]]), np.array([[1.0], [-1.0], [9.0]]))
    # Always the same answer in both pictures: twice as likely as two strangers.
    assert scores[0, 0] == pytest.approx(np.log(2), abs=0.01)
    assert scores[0, 1] < -4
    assert (scores[1] == 0).all()
    assert scores[0, 2] == 0


def test_a_number_that_never_changes_does_no_harm() -> None:
    taught = lesson(own=1.0)
    constant = Lesson(np.hstack((taught.values, np.full((600, 1), 7.0))), taught.identity, taught.labels)
    values = taught.values[:6]
    padded = np.hstack((values, np.full((6, 1), 8.0)))
    for name in ("nearest", "logistic"):
        scores = ATTACKERS[name](taught).scores(values, values)
        assert ATTACKERS[name](constant).scores(padded, padded) == pytest.approx(scores, abs=1e-2)
    assert np.isfinite(Likelihood.learned(constant).scores(padded, padded)).all()


def test_distances_are_in_standard_deviations() -> None:
    matcher = Nearest(np.zeros(2), np.array([1.0, 0.1]))
    assert matcher.scores(np.array([[0.0, 0.0]]), np.array([[3.0, 0.0], [0.0, 30.0]])) == pytest.approx(
        np.array([[-9.0, -9.0]])
    )


def test_angles_do_not_know_length() -> None:
    first, second = np.array([[1.0, 0.0]]), np.array([[5.0, 0.0], [0.0, 0.1], [-2.0, 0.0]])
    taught = Cosine.learned(lesson(1.0))
    assert taught.scores(first, second) == pytest.approx(np.array([[1.0, 0.0, -1.0]]))


def test_logistic_regression_finds_the_odds() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(20_000, 2))
    chance = 1 / (1 + np.exp(-(1.5 * features[:, 0] - 0.5 * features[:, 1] + 0.3)))
    weights = logistic_weights(features, generator.random(20_000) < chance)
    assert weights == pytest.approx([1.5, -0.5], abs=0.08)


def test_pairs_are_of_one_person_or_of_two() -> None:
    identity = np.array([0, 0, 0, 1, 2, 2])
    pairs = same_pairs(identity, 100)
    assert sorted(map(tuple, pairs.tolist())) == [(0, 1), (0, 2), (1, 2), (4, 5)]
    strangers = strange_pairs(identity, 50)
    assert (identity[strangers[:, 0]] != identity[strangers[:, 1]]).all()


def test_nobody_learns_from_people_seen_once() -> None:
    with pytest.raises(DataError, match="too few to learn from"):
        Lesson(np.zeros((10, 2)), np.arange(10), np.zeros((10, 0), np.int8))


def test_a_network_learns_without_labels_and_gives_the_same_twice() -> None:
    taught = lesson(own=1.0, people=30)
    bare = Lesson(taught.values, taught.identity, np.zeros((len(taught.values), 0), np.int8))
    first, second = (ATTACKERS["mlp"](bare).scores(bare.values[:4], bare.values[4:8]) for _ in range(2))
    assert (first == second).all()
