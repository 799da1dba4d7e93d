from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.audit.counts import Released
from lab.audit.membership import Crowd, Tally, membership, membership_figures, right_chances, tallied
from tests.lab.audit.noisy import ATTRIBUTES, Geometric, honest


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


class Silent:
    epsilon = 1.0

    def release(self, counts: Sequence[int]) -> Released:  # noqa: ARG002 - of the protocol
        return None


def test_of_a_suppressed_window_anybody_may_be_named() -> None:
    tally = tallied(Silent(), crowd(), 50, quiet)
    assert tally.rate == pytest.approx(1 / 8)
    assert tally.variance == pytest.approx(0, abs=1e-12)


def test_of_several_who_are_likeliest_one_is_named_by_lot() -> None:
    likeliest = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 0]], np.bool_)
    alone = np.arange(4)
    assert right_chances(likeliest, alone, np.array([0, 0, 3, 0])).tolist() == [0.5, 0, 0.25, 1]


def test_who_answers_alike_is_counted_together_and_the_mean_stays() -> None:
    generator = np.random.default_rng(3)
    likeliest = generator.random((500, 9)) < 0.4
    likeliest[:, 0] = True
    alike = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    kinds = [np.flatnonzero(alike == kind) for kind in range(3)]
    for members in kinds:
        each = np.stack([right_chances(likeliest, np.arange(9), np.full(500, one)) for one in members])
        together = right_chances(likeliest, alike, np.full(500, members[0]))
        assert together == pytest.approx(each.mean(axis=0))


def test_no_chance_is_larger_than_what_answers_allow() -> None:
    known = crowd(visits=1)
    groups, counts = np.unique(known.shown, axis=0, return_counts=True)
    assert 1 < len(groups) < 8
    assert known.most_told() == pytest.approx(1 / counts.min())
    assert Crowd(known.shown, np.full(known.shown.shape, 0.5), 1).most_told() == pytest.approx(1 / 8)
    # One window of each person, without noise: the largest chance is met.
    likeliest = (known.shown[:, None] == known.shown[None]).all(axis=2)
    assert right_chances(likeliest, known.alike(), np.arange(8)).max() == pytest.approx(known.most_told())


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.integers(0, 40))
def test_tallies_add_up_to_mean_and_variance(chances: list[float], cut: int) -> None:
    values = np.array(chances)
    both = Tally.of(values[:cut]) + Tally.of(values[cut:])
    assert both.windows == len(values)
    assert both.rate == pytest.approx(values.mean())
    assert both.variance == pytest.approx(values.var(ddof=1), abs=1e-9)


def test_the_interval_holds_the_true_mean_and_narrows() -> None:
    generator = np.random.default_rng(1)
    chance = 0.02
    misses = 0
    for _ in range(400):
        tally = Tally.of((generator.random(2000) < chance).astype(np.float64))
        misses += abs(tally.rate - chance) > tally.margin(1.0)
    assert misses <= 4
    few, many = (Tally.of(np.tile([0.0, 0.1], count)) for count in (50, 5000))
    assert many.margin(0.1) < few.margin(0.1) / 9
    assert Tally.of(np.zeros(1)).margin(0.5) == 0.5
    by_spread = np.sqrt(2 * many.variance * np.log(400) / 10_000)
    assert many.margin(0.1) == pytest.approx(by_spread + 7 * 0.1 * np.log(400) / (3 * 9_999))
    # Chances that never differ leave what may not have been seen yet: 7 most ln(400) / 3 (n - 1).
    assert Tally.of(np.zeros(101)).margin(0.5) == pytest.approx(7 * 0.5 * np.log(400) / 300)


def test_pieces_of_an_attack_are_put_together() -> None:
    pieces = sum((tallied(honest(1.0), crowd(), 300, quiet, seed) for seed in (1, 2)), Tally())
    found = membership_figures(crowd(), pieces)
    assert found["windows"] == 600
    assert found["rate"] == pytest.approx(found["over_chance"] / 8)
