"""Figures of the report against numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.report_scores import (
    Label,
    Predictor,
    Split,
    decision,
    decisions,
    resampled,
    row_of,
    trivial_figures,
)

LABEL = Label("masks", 4, "2", "noise-free", "a note")


def split_of(tune: list[int], report: list[int], people: list[int] | None = None) -> Split:
    tune_answers, report_answers = (np.array(each, np.int8)[:, None] for each in (tune, report))
    chosen = np.arange(len(report)) if people is None else np.array(people)
    return Split(("Smiling",), tune_answers, report_answers, chosen)


def predictor(tune: list[float], report: list[float], seed: int = 0) -> Predictor:
    return Predictor(LABEL, seed, np.array(tune)[:, None], np.array(report)[:, None])


TUNE, TUNE_SCORES = [-1, -1, -1, 1, 1, 1], [-3.0, -2.0, 1.0, -1.0, 2.0, 3.0]


def test_a_row_holds_the_figures_counted_by_hand() -> None:
    split = split_of(TUNE, [1, -1, 1, -1, -1])
    row = row_of([predictor(TUNE_SCORES, [2.0, 3.0, 0.1, -0.1, -2.0])], split)
    # Pairs of yes and no in the right order: 2.0 and 0.1 above two each, of 2 * 3.
    assert row["auc"]["mean"] == pytest.approx(4 / 6)
    # Precision at the two positives: 1/2 and 2/3.
    assert row["map"]["mean"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    # The fit of a symmetric tune half cuts at 0: only the no at 3.0 is wrong.
    assert row["accuracy"]["mean"] == pytest.approx(4 / 5)
    assert (row["system"], row["d"], row["seeds"], row["note"]) == ("masks", 4, [0], "a note")
    assert row["auc"]["spread"] is None


def test_balanced_accuracy_is_cut_where_tune_was_best() -> None:
    # On tune the cut between 1 and 2 finds 2 of 3 yes and loses no no.
    split = split_of([-1, -1, -1, 1, 1, 1], [1, 1, -1, -1])
    row = row_of([predictor([-3.0, -2.0, 1.0, 0.9, 2.0, 3.0], [1.4, 1.6, 1.4, 1.6])], split)
    assert row["balanced_accuracy"]["mean"] == pytest.approx(0.5)
    row = row_of([predictor([-3.0, -2.0, 1.0, 0.9, 2.0, 3.0], [1.4, 1.6, 1.4, 1.4])], split)
    assert row["balanced_accuracy"]["mean"] == pytest.approx(0.75)


def test_seeds_have_a_mean_and_a_sample_standard_deviation() -> None:
    split = split_of(TUNE, [1, -1])
    row = row_of([predictor(TUNE_SCORES, [2.0, 1.0], 0), predictor(TUNE_SCORES, [1.0, 2.0], 1)], split)
    assert row["auc"]["mean"] == pytest.approx(0.5)
    assert row["auc"]["spread"] == pytest.approx(np.sqrt(0.5))
    assert row["seeds"] == [0, 1]


def test_the_interval_is_over_people_so_that_one_person_has_none() -> None:
    answers, scores = [1, -1] * 8, [2.0, -1.0, -2.0, 1.0] * 4
    one = row_of([predictor(TUNE_SCORES, scores)], split_of(TUNE, answers, [7] * 16))["accuracy"]
    many = row_of([predictor(TUNE_SCORES, scores)], split_of(TUNE, answers))["accuracy"]
    assert one["interval_95"] == [one["mean"], one["mean"]]
    low, high = many["interval_95"]
    assert low < many["mean"] < high


@settings(max_examples=30)
@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_the_ranking_of_scores_is_all_that_counts_for_auc_and_thresholds_follow(
    scale: float, shift: float
) -> None:
    generator = np.random.default_rng(4)
    answers = np.where(generator.random(120) < 0.4, 1, -1)
    scores = answers + generator.normal(0, 1.5, 120)
    split = split_of(answers[:60].tolist(), answers[60:].tolist())
    once = np.ones((1, 60))

    def figures(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
        tune, report = values[:60, None], values[60:, None]
        found: list[float] = resampled(report, decisions(tune, split), split, once)[:, 0].tolist()
        return found

    plain, moved = figures(scores), figures(scale * scores + shift)
    assert moved[0] == pytest.approx(plain[0])
    assert moved[2] == pytest.approx(plain[2])


def test_unknown_answers_count_nowhere() -> None:
    split = split_of(TUNE, [1, -1, 0, 0])
    row = row_of([predictor(TUNE_SCORES, [2.0, -2.0, -9.0, 9.0])], split)
    assert row["accuracy"]["mean"] == 1.0
    assert row["auc"]["mean"] == 1.0


def test_an_attribute_with_one_answer_has_no_figures() -> None:
    both = np.array([[1, 1], [-1, 1]], np.int8)
    split = Split(("Smiling", "Young"), np.tile(both, (3, 1)), both, np.arange(2))
    assert split.columns() == [0]
    assert list(decisions(np.zeros((6, 2)) + np.arange(6)[:, None], split)) == [0]


def test_without_any_attribute_there_is_no_number() -> None:
    split = split_of([1, 1], [1, 1])
    assert np.isnan(resampled(np.zeros((2, 1)), {}, split, np.ones((3, 2)))).all()


def test_a_calibrated_logit_of_zero_is_even_odds() -> None:
    generator = np.random.default_rng(5)
    logits = generator.normal(0, 2, 20_000)
    answers = np.where(generator.random(20_000) < 1 / (1 + np.exp(-logits)), 1, -1).astype(np.int8)
    how = decision(3 * logits + 7, answers)
    assert how.logits(np.array([7.0])) == pytest.approx([0.0], abs=0.05)
    assert how.logits(np.array([10.0])) == pytest.approx([1.0], abs=0.05)


def test_the_trivial_predictor_answers_as_its_training_did() -> None:
    split = split_of(TUNE, [1, 1, 1, -1, 0])
    yes, no = (trivial_figures(np.array([answer]), split) for answer in (True, False))
    assert yes == {"auc": 0.5, "map": 0.75, "balanced_accuracy": 0.5, "accuracy": 0.75}
    assert no["accuracy"] == 0.25
