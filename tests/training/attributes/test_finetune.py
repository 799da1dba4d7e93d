"""Adaptation to a bench: what is repaired, what is left alone, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lsi.errors import DataError
from lsi.patterns import PatternSet
from tests.training.bench_vectors import bench_of, measured, start
from training.attributes import finetune as module
from training.attributes.finetune import (
    START,
    Tuned,
    draw_shots,
    finetune,
    macro_auc,
    matching_labels,
    with_record,
)
from training.data_sets.data import tune_rows

WRONG = measured(start(), 400, common=0.06)
RIGHT = measured(start(), 400)


@pytest.fixture(scope="module")
def tuned() -> Tuned:
    return finetune(start(), WRONG, 96, seed=1)


def test_a_bench_with_uneven_arms_is_repaired(tuned: Tuned) -> None:
    low, high = tuned.figures["macro_auc_gain_95"]
    assert tuned.chosen == "common offset"
    assert tuned.figures["macro_auc_gain"] > 0.02
    assert 0 < low < tuned.figures["macro_auc_gain"] < high
    assert tuned.figures["macro_auc_after"] == pytest.approx(
        macro_auc(
            tuned.checkpoint.read_out.logits(WRONG.measurements[~tune_rows(WRONG.identity)]),
            WRONG.attributes[~tune_rows(WRONG.identity)],
        )
    )


def test_a_right_bench_keeps_the_start_number_for_number() -> None:
    for seed in range(3):
        tuned = finetune(start(), RIGHT, 64, seed)
        assert tuned.chosen == START
        assert tuned.kept_start
        assert tuned.figures["macro_auc_gain"] == 0
        assert np.array_equal(tuned.checkpoint.read_out.mean, start().read_out.mean)
        assert np.array_equal(tuned.checkpoint.read_out.scale, start().read_out.scale)


def test_masks_thresholds_and_layers_stay(tuned: Tuned) -> None:
    before, after = start(), tuned.checkpoint
    assert after.patterns == before.patterns
    assert after.attributes == before.attributes
    for one, two in zip(before.read_out.layers, after.read_out.layers, strict=True):
        assert np.array_equal(one.weights, two.weights)
        assert np.array_equal(one.bias, two.bias)


def test_the_same_seed_gives_the_same_weights(tuned: Tuned) -> None:
    again = finetune(start(), WRONG, 96, seed=1)
    other = finetune(start(), WRONG, 96, seed=2)
    mean = [each.checkpoint.read_out.mean for each in (tuned, again, other)]
    assert np.array_equal(mean[0], mean[1])
    assert not np.array_equal(mean[0], mean[2])


def test_shots_are_of_as_many_people_as_possible_and_of_none_who_is_held_out() -> None:
    tune = tune_rows(WRONG.identity)
    drawn = draw_shots(WRONG.identity, tune, 40, seed=0)
    assert len(np.unique(drawn)) == 40
    assert len(np.unique(WRONG.identity[drawn])) == 40
    assert not set(WRONG.identity[drawn]) & set(WRONG.identity[~tune])
    assert draw_shots(WRONG.identity, tune, None, seed=0).tolist() == np.flatnonzero(tune).tolist()


def test_no_fold_parts_a_person() -> None:
    folds = module._folds(WRONG.identity)
    assert (folds[::2] == folds[1::2]).all()
    assert set(folds) == set(range(module.FOLDS))


@pytest.mark.parametrize("common", [-0.2, 0.2])
def test_the_ranges_hold_what_the_bench_measures(common: float) -> None:
    vectors = measured(start(), 400, common=common)
    after = finetune(start(), vectors, 96, seed=1).checkpoint
    inside = (after.measurement_low <= vectors.measurements) & (
        after.measurement_high >= vectors.measurements
    )
    assert inside.mean() > 0.999
    for values, low, high in zip(
        after.read_out.activations(vectors.measurements),
        after.activation_low,
        after.activation_high,
        strict=True,
    ):
        assert ((low <= values) & (values <= high)).mean() > 0.999
    assert (after.measurement_low <= start().measurement_low).all()


def test_the_record_says_how_and_what_it_gained_and_holds_no_measurement(tuned: Tuned) -> None:
    record = with_record(tuned, WRONG, "lsi train finetune x", 1).record
    assert record["seed"] == 3
    entry = record[module.RECORD]
    assert entry["chosen"] == "common offset"
    assert entry["figures"]["shots"] == 96
    assert entry["bench"]["sensor"]["power_nw"] == 100.0
    text = json.dumps(entry, allow_nan=False)
    assert not any(f"{abs(float(value)):.5f}"[:7] in text for value in WRONG.measurements[:40].reshape(-1))


def test_one_class_only_gives_no_figure_and_no_nan_in_json() -> None:
    labels = WRONG.attributes.copy()
    labels[:, 0] = 1
    tuned = finetune(start(), replace(WRONG, attributes=labels), 96, seed=1)
    entry = module.as_document(tuned)
    assert entry["figures"]["attributes"]["Smiling"]["auc_after"] is None
    assert entry["figures"]["macro_auc_after"] > 0.5
    json.dumps(entry, allow_nan=False)


def test_unknown_labels_are_left_out_of_the_figures() -> None:
    labels = WRONG.attributes.copy()
    labels[:, 0] = 0
    tuned = finetune(start(), replace(WRONG, attributes=labels), 96, seed=1)
    other = tuned.figures["attributes"]["Wearing_Hat"]["auc_after"]
    assert tuned.figures["attributes"]["Smiling"]["positives"] == 0
    assert tuned.figures["macro_auc_after"] == pytest.approx(other)


def test_attributes_in_another_order_are_matched_by_name() -> None:
    names = WRONG.attribute_names[::-1]
    turned = replace(WRONG, attribute_names=names, attributes=WRONG.attributes[:, ::-1])
    assert np.array_equal(matching_labels(start(), turned), WRONG.attributes)


def test_vectors_of_other_masks_are_refused() -> None:
    other = PatternSet(~start().patterns.masks)
    vectors = replace(WRONG, bench=bench_of(start(), pattern_digest=other.digest))
    with pytest.raises(DataError, match="other masks"):
        finetune(start(), vectors, None, 0)


def test_vectors_without_an_attribute_of_the_checkpoint_are_refused() -> None:
    vectors = replace(WRONG, attribute_names=("Smiling", "Bald"))
    with pytest.raises(DataError, match="Wearing_Hat"):
        finetune(start(), vectors, None, 0)


def test_more_shots_than_there_are_is_refused() -> None:
    with pytest.raises(DataError, match="asked for"):
        finetune(start(), WRONG, 399, 0)


def test_a_file_of_one_half_of_the_people_has_nobody_to_report_on() -> None:
    tune = np.flatnonzero(tune_rows(WRONG.identity))
    with pytest.raises(DataError, match="held-out vectors are of 0 people"):
        finetune(start(), WRONG.chosen(tune), None, 0)
