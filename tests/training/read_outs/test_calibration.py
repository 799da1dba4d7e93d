"""Calibration: what is fitted, what is folded, and how well probabilities are measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.errors import DataError
from tests.training.tiny import measurements_for, random_read_out
from training.read_outs.calibration import (
    LEAST_SPREAD,
    Calibration,
    brier_skill,
    calibrate,
    calibration_errors_if_exact,
    expected_calibration_error,
    expected_calibration_error_floor,
    fit,
    folded,
    folded_range,
    probabilities,
    reliability,
)
from training.scores.figures import auc

ROWS = st.lists(
    st.tuples(st.floats(-1e6, 1e6, allow_nan=False), st.booleans()), min_size=2, max_size=60
).filter(lambda rows: len({label for _, label in rows}) == 2)


def _drawn(slope: float, offset: float, rows: int) -> tuple["np.ndarray", "np.ndarray"]:
    generator = np.random.default_rng(0)
    scores = generator.normal(0, 2, rows)
    return scores, generator.random(rows) < probabilities(slope * scores + offset)


@pytest.mark.parametrize(("slope", "offset"), [(0.5, -1.0), (1.0, 0.0), (3.0, 2.0)])
def test_slope_and_offset_that_made_the_labels_are_found(slope: float, offset: float) -> None:
    found = fit(*_drawn(slope, offset, 40_000))
    assert found == pytest.approx((slope, offset), abs=0.06)


@given(ROWS)
def test_any_scores_give_a_positive_slope_and_probabilities_of_the_right_sum(
    rows: list[tuple[float, bool]],
) -> None:
    scores, labels = np.array([score for score, _ in rows]), np.array([label for _, label in rows])
    slope, offset = fit(scores, labels)
    assert slope > 0
    assert np.isfinite([slope, offset]).all()
    positives, negatives = labels.sum(), (~labels).sum()
    softened = positives * (positives + 1) / (positives + 2) + negatives / (negatives + 2)
    assert probabilities(slope * scores + offset).sum() == pytest.approx(softened, abs=1e-3)


def test_the_fit_is_the_minimum_of_its_loss() -> None:
    scores, labels = _drawn(0.7, -0.5, 300)
    slope, offset = fit(scores, labels)
    positives, negatives = labels.sum(), (~labels).sum()
    target = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(at_slope: float, at_offset: float) -> float:
        z = at_slope * scores + at_offset
        return float((np.logaddexp(0, z) - target * z).sum())

    for step in (-0.02, 0.02):
        assert loss(slope, offset) < loss(slope + step, offset)
        assert loss(slope, offset) < loss(slope, offset + step)


def test_scores_that_point_the_wrong_way_become_nearly_flat_and_say_the_prevalence() -> None:
    scores, labels = _drawn(1.0, -1.0, 4000)
    slope, offset = fit(-scores, labels)
    assert slope * scores.std() == pytest.approx(LEAST_SPREAD)
    assert probabilities(slope * -scores + offset).mean() == pytest.approx(labels.mean(), abs=1e-3)


def test_three_perfectly_separated_positives_do_not_become_certain() -> None:
    scores = np.append(np.linspace(-3, 0, 500), [4.0, 5.0, 6.0])
    labels = scores > 3
    slope, offset = fit(scores, labels)
    said = probabilities(slope * scores[-3:] + offset)
    assert said.mean() > 0.7
    assert said.max() < 0.95


def test_equal_scores_say_the_softened_prevalence() -> None:
    slope, offset = fit(np.full(8, 2.5), np.arange(8) < 2)
    assert probabilities(np.array([slope * 2.5 + offset]))[0] == pytest.approx((2 * 3 / 4 + 6 / 8) / 8)


def test_unknown_answers_are_left_out() -> None:
    scores, labels = _drawn(0.5, 0.3, 400)
    answers = np.where(labels, 1, -1).astype(np.int8)
    padded = np.append(scores, np.full(300, 9.0))
    found = calibrate(padded[:, None], np.append(answers, np.zeros(300, np.int8))[:, None], ("Hat",))
    assert (found.slopes[0], found.offsets[0]) == fit(scores, labels)


@pytest.mark.parametrize("answer", [1, -1, 0])
def test_an_attribute_with_one_answer_is_named(answer: int) -> None:
    answers = np.stack((np.array([1, -1, 1, -1]), np.full(4, answer)), axis=1).astype(np.int8)
    with pytest.raises(DataError, match="Wearing_Hat has"):
        calibrate(np.ones((4, 2)), answers, ("Smiling", "Wearing_Hat"))


def test_folding_gives_slope_times_logit_plus_offset_and_leaves_presence_alone() -> None:
    read_out = random_read_out()
    calibration = Calibration(np.array([0.5, 3.0]), np.array([-1.0, 0.25]))
    inputs = measurements_for(read_out, 200)
    raw, found = read_out.logits(inputs), folded(read_out, calibration).logits(inputs)
    assert np.allclose(found[:, 0], 0.5 * raw[:, 0] - 1, atol=1e-4)
    assert np.allclose(found[:, 1], 3 * raw[:, 1] + 0.25, atol=1e-4)
    assert np.array_equal(found[:, 2], raw[:, 2])


def test_folding_keeps_the_order_of_the_scores() -> None:
    read_out = random_read_out()
    inputs = measurements_for(read_out, 300)
    labels = np.random.default_rng(3).random(300) < 0.4
    calibration = Calibration(np.array([LEAST_SPREAD, 40.0]), np.array([3.0, -9.0]))
    for k in range(3):
        before = auc(read_out.logits(inputs)[:, k], labels)
        assert auc(folded(read_out, calibration).logits(inputs)[:, k], labels) == pytest.approx(
            before, abs=1e-4
        )


def test_the_folded_range_is_that_of_the_folded_logits() -> None:
    read_out = random_read_out()
    calibration = Calibration(np.array([0.1, 5.0]), np.array([2.0, -3.0]))
    inputs = measurements_for(read_out, 500)
    raw, after = read_out.logits(inputs), folded(read_out, calibration).logits(inputs)
    low, high = folded_range(raw.min(axis=0), raw.max(axis=0), calibration)
    assert (low, high) == pytest.approx((after.min(), after.max()), rel=1e-5)


@pytest.mark.parametrize(
    ("slopes", "offsets"), [([0.0], [0.0]), ([-1.0], [0.0]), ([1.0], [np.inf]), ([1.0, 1.0], [0.0])]
)
def test_a_calibration_that_turns_answers_round_is_refused(slopes: list[float], offsets: list[float]) -> None:
    with pytest.raises(ValueError, match="slope"):
        Calibration(np.array(slopes), np.array(offsets))


def test_a_calibration_shows_no_values() -> None:
    assert repr(Calibration(np.array([0.123]), np.array([4.56]))) == "Calibration(attributes=1)"


def test_probabilities_do_not_overflow() -> None:
    assert probabilities(np.array([-1e6, 0.0, 1e6])).tolist() == [0.0, 0.5, 1.0]


def test_bins_hold_what_was_said_and_what_happened() -> None:
    chance = np.array([0.9, 0.1, 0.2, 0.8])
    labels = np.array([True, False, True, True])
    low, high = reliability(chance, labels, bins=2)
    assert (low.positive_share, low.rows, high.positive_share, high.rows) == (0.5, 2, 1.0, 2)
    assert [low.mean_probability, high.mean_probability] == pytest.approx([0.15, 0.85])
    # |0.15 - 0.5| and |0.85 - 1|, half of the rows each.
    assert expected_calibration_error(chance, labels, bins=2) == pytest.approx((0.35 + 0.15) / 2)


def test_bins_have_equal_mass() -> None:
    chance = np.random.default_rng(0).random(1500) ** 3
    assert [each.rows for each in reliability(chance, chance > 0.5)] == [100] * 15


def test_a_constant_probability_has_one_bin_and_errs_by_its_distance_from_the_prevalence() -> None:
    labels = np.arange(100) < 30
    assert len(reliability(np.full(100, 0.2), labels)) == 1
    assert expected_calibration_error(np.full(100, 0.2), labels) == pytest.approx(0.1)


@given(st.permutations(range(24)))
def test_the_error_does_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    chance, labels = np.repeat([0.1, 0.3, 0.5, 0.9], 6), np.arange(24) % 5 < 2
    expected = expected_calibration_error(chance, labels)
    assert expected_calibration_error(chance[order], labels[order]) == pytest.approx(expected)


def test_errors_of_exact_probabilities_spread_around_the_floor() -> None:
    chance = np.random.default_rng(3).random(600)
    spread = calibration_errors_if_exact(chance, np.random.default_rng(4))
    assert spread.mean() == pytest.approx(expected_calibration_error_floor(chance), rel=0.05)
    happened = np.random.default_rng(5).random((300, 600)) < chance
    found = np.array([expected_calibration_error(chance, each) for each in happened])
    assert spread.std() == pytest.approx(found.std(), rel=0.2)
    assert np.median(spread) == pytest.approx(np.median(found), rel=0.05)


def test_right_probabilities_err_as_much_as_the_floor_says_and_wrong_ones_more() -> None:
    generator = np.random.default_rng(1)
    chance = generator.random(1500)
    found = [expected_calibration_error(chance, generator.random(1500) < chance) for _ in range(60)]
    floor = expected_calibration_error_floor(chance)
    assert np.mean(found) == pytest.approx(floor, rel=0.05)
    wrong = expected_calibration_error(np.clip(chance + 0.1, 0, 1), generator.random(1500) < chance)
    assert wrong > 2 * floor


def test_figures_of_no_rows_are_no_numbers() -> None:
    none, labels = np.empty(0), np.empty(0, np.bool_)
    assert reliability(none, labels) == ()
    assert np.isnan(expected_calibration_error(none, labels))
    assert np.isnan(expected_calibration_error_floor(none))
    assert np.isnan(brier_skill(none, labels, 0.5))


def test_brier_skill_is_measured_against_the_climatology_of_tune() -> None:
    labels = np.array([True, False, False, False])
    assert brier_skill(np.full(4, 0.3), labels, 0.3) == 0
    assert brier_skill(labels.astype(float), labels, 0.3) == 1
    # Brier score 0.25 against (0.49 + 3 * 0.09) / 4 = 0.19.
    assert brier_skill(np.full(4, 0.5), labels, 0.3) == pytest.approx(1 - 0.25 / 0.19)
    assert np.isnan(brier_skill(np.full(2, 0.1), np.zeros(2, np.bool_), 0.0))


def test_a_calibrated_score_has_skill_and_little_error_on_other_rows() -> None:
    scores, labels = _drawn(0.3, -2.0, 6000)
    slope, offset = fit(scores[:3000], labels[:3000])
    raw, after = probabilities(scores[3000:]), probabilities(slope * scores[3000:] + offset)
    prevalence = float(labels[:3000].mean())
    assert brier_skill(raw, labels[3000:], prevalence) < 0 < brier_skill(after, labels[3000:], prevalence)
    assert expected_calibration_error(after, labels[3000:]) < 0.03
    assert expected_calibration_error(raw, labels[3000:]) > 0.1


def test_only_the_last_layer_changes() -> None:
    read_out = random_read_out()
    after = folded(read_out, Calibration(np.array([2.0, 2.0]), np.zeros(2)))
    assert all(
        np.array_equal(a.weights, b.weights)
        for a, b in zip(read_out.layers[:-1], after.layers[:-1], strict=True)
    )
    assert np.array_equal(after.mean, read_out.mean)
