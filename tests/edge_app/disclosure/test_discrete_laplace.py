"""The noise, held to the exact distribution: a source that can be repeated, and chi-square."""

import math
import random
from collections import Counter
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.disclosure.discrete_laplace import Below, _with_chance_exp, discrete_laplace

DRAWS = 20_000


def repeatable(seed: int) -> Below:
    return random.Random(seed).randrange  # noqa: S311 - a source that can be repeated


DECAYS = [Fraction(1, 5), Fraction(1), Fraction(2, 7), Fraction(5, 2)]


def pmf(decay: Fraction, value: int) -> float:
    q = math.exp(-decay)
    return (1 - q) / (1 + q) * q ** abs(value)


@cache
def drawn(decay: Fraction, seed: int, draws: int = DRAWS) -> Counter[int]:
    below = repeatable(seed)
    return Counter(discrete_laplace(decay, below) for _ in range(draws))


def chi_square(found: Counter[int], decay: Fraction) -> tuple[float, int]:
    """The statistic and its degrees of freedom; values that are rarer than five draws share a cell."""
    draws, edge = found.total(), 0
    while draws * pmf(decay, edge + 1) >= 5:
        edge += 1
    cells = {value: draws * pmf(decay, value) for value in range(-edge, edge + 1)}
    rest = draws - sum(cells.values())
    statistic = sum((found[value] - expected) ** 2 / expected for value, expected in cells.items())
    tail = draws - sum(found[value] for value in cells)
    return statistic + (tail - rest) ** 2 / rest, len(cells)


def bound(degrees: int) -> float:
    """Exceeded by chance once in a hundred thousand (Wilson and Hilferty)."""
    return degrees * (1 - 2 / (9 * degrees) + 4.265 * math.sqrt(2 / (9 * degrees))) ** 3


@pytest.mark.parametrize("decay", DECAYS)
def test_the_noise_has_the_exact_distribution(decay: Fraction) -> None:
    statistic, degrees = chi_square(drawn(decay, seed=7), decay)
    assert statistic < bound(degrees)


@pytest.mark.parametrize("decay", DECAYS)
def test_the_test_tells_a_neighbouring_distribution_apart(decay: Fraction) -> None:
    statistic, degrees = chi_square(drawn(decay, seed=7), decay * Fraction(11, 10))
    assert statistic > bound(degrees)


def test_both_signs_and_zero_are_as_likely_as_they_should_be() -> None:
    found = drawn(Fraction(1, 2), seed=3)
    positive = sum(count for value, count in found.items() if value > 0)
    negative = sum(count for value, count in found.items() if value < 0)
    assert abs(positive - negative) < 5 * math.sqrt(DRAWS)
    assert abs(found[0] - DRAWS * pmf(Fraction(1, 2), 0)) < 5 * math.sqrt(DRAWS)


@settings(max_examples=20)
@given(st.fractions(0, 1, max_denominator=4))
def test_the_coin_falls_with_chance_exp_of_minus_gamma(gamma: Fraction) -> None:
    below = repeatable(5)
    heads = sum(_with_chance_exp(gamma, below) for _ in range(3000))
    assert abs(heads / 3000 - math.exp(-gamma)) < 0.04


def test_no_step_is_a_floating_point_number() -> None:
    asked: list[object] = []

    def below(n: int) -> int:
        asked.append(n)
        return repeatable(len(asked))(n)

    values = [discrete_laplace(Fraction(3, 10), below) for _ in range(200)]
    assert all(type(each) is int for each in [*asked, *values])


def test_chance_comes_from_the_system_by_default() -> None:
    assert len({discrete_laplace(Fraction(1, 1000)) for _ in range(20)}) > 10


@pytest.mark.parametrize("decay", [Fraction(0), Fraction(-1)])
def test_noise_without_a_scale_is_refused(decay: Fraction) -> None:
    with pytest.raises(ValueError, match="above 0"):
        discrete_laplace(decay)


def test_it_draws_like_opendp() -> None:
    opendp = pytest.importorskip("opendp.prelude", reason="opendp is not installed (pip install opendp)")
    opendp.enable_features("contrib")
    space = opendp.atom_domain(T=int), opendp.absolute_distance(T=int)
    theirs = opendp.m.make_laplace(*space, scale=5.0)
    found = Counter(theirs(0) for _ in range(DRAWS))
    statistic, degrees = chi_square(found, Fraction(1, 5))
    assert statistic < bound(degrees)
