"""Calibration, thresholds and figures of a bank of masks made by hand."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

pytest.importorskip("torch", reason="assessing needs PyTorch (lsi-host[train])")

from lsi.attributes import AttributeLogits
from lsi.errors import ConfigError, DataError
from tests.training.conftest import BOARD
from training.attributes.assess import Assessment, assess, check_halves
from training.attributes.train import Trained
from training.cli_commands.command_parts import read_sensor
from training.data_sets.data import FaceData, tune_rows
from training.light.forward_model import Detector
from training.read_outs.read_out import Dense, ReadOutWeights
from training.scores.figures import auc
from training.scores.groups import Grouping

NAMES = ("Smiling", "Wearing_Hat")
ROWS, OTHERS = 240, 60
DETECTOR = Detector(*read_sensor(BOARD))


def _boxes() -> "np.ndarray":
    """One mask per attribute, and one with the disc of the face."""
    masks = np.zeros((3, 64, 64), np.bool_)
    masks[0, 24:32, 24:40] = masks[1, 36:44, 24:40] = True
    y, x = np.mgrid[:64, :64] - 31.5
    masks[2] = x**2 + y**2 < 24**2
    return masks


def _faces(seed: int = 0) -> FaceData:
    """Discs with a brighter box for each yes, blurred by a random brightness of each box."""
    generator = np.random.default_rng(seed)
    masks, yes = _boxes(), generator.random((ROWS, 2)) < [0.5, 0.2]
    strength = 0.15 * yes + 0.08 * generator.normal(size=(ROWS, 2))
    scenes = 0.15 + 0.4 * masks[2] + np.einsum("nk,khw->nhw", strength, masks[:2].astype(float))
    answers = np.where(yes, 1, -1).astype(np.int8)
    return FaceData(scenes.clip(0, 1).astype(np.float32), answers, NAMES, np.arange(ROWS) // 2)


def _others() -> FaceData:
    scenes = np.random.default_rng(9).uniform(0.1, 0.7, (OTHERS, 64, 64)).astype(np.float32)
    return FaceData(scenes, np.empty((OTHERS, 0), np.int8), (), np.arange(OTHERS))


def _trained() -> Trained:
    """A read-out that overstates everything threefold and says yes too often."""
    weights = np.array([[3 * 500.0, 0, 0], [0, 3 * 500.0, 0], [0, 0, 60.0]], np.float32)
    mean = np.array([-0.914, -0.921, 0.0], np.float32)
    read_out = ReadOutWeights(
        mean, np.ones(3, np.float32), (Dense(weights, np.array([4.0, 4.0, 0.0], np.float32)),)
    )
    return cast("Trained", SimpleNamespace(masks=_boxes(), read_out=read_out))


@pytest.fixture(scope="module")
def found() -> Assessment:
    grouping = Grouping(("Male",), np.where(np.arange(ROWS) % 4 < 2, 1, -1).astype(np.int8)[:, None])
    return assess(_trained(), _faces(), _others(), DETECTOR, grouping=grouping)


def test_probabilities_of_the_returned_read_out_are_right_on_people_it_never_saw(found: Assessment) -> None:
    for each in found.attributes:
        assert each.auc > 0.8
        assert each.brier_skill > 0.2
        assert each.ece < each.ece_floor + 0.06
    raw = _trained().read_out.layers[-1]
    assert not np.allclose(found.read_out.layers[-1].weights[0], raw.weights[0])
    assert np.array_equal(found.read_out.layers[-1].weights[-1], raw.weights[-1])


def test_calibration_changes_no_order(found: Assessment) -> None:
    inputs = np.random.default_rng(1).normal(-0.9, 0.02, (200, 3)).astype(np.float32)
    labels = np.random.default_rng(2).random(200) < 0.5
    before, after = _trained().read_out.logits(inputs), found.read_out.logits(inputs)
    assert auc(after[:, 0], labels) == pytest.approx(auc(before[:, 0], labels), abs=1e-3)


def test_figures_are_those_of_the_report_half(found: Assessment) -> None:
    report = ~tune_rows(_faces().identity)
    assert found.faces == int(report.sum())
    positives = (_faces().attributes[report] > 0).sum(axis=0)
    assert [each.positives for each in found.attributes] == positives.tolist()


def test_nothing_that_is_shipped_depends_on_the_report_half(found: Assessment) -> None:
    faces = _faces()
    tune = tune_rows(faces.identity)[:, None]
    turned = replace(faces, attributes=np.where(tune, faces.attributes, -faces.attributes).astype(np.int8))
    darker = np.where(tune[:, None], faces.luminance, faces.luminance[::-1] ** 2)
    assert assess(_trained(), replace(turned, luminance=darker), _others(), DETECTOR).schema == found.schema
    after = assess(_trained(), turned, _others(), DETECTOR)
    assert after.schema == found.schema
    assert np.array_equal(after.calibration.slopes, found.calibration.slopes)
    assert after.macro_auc == pytest.approx(1 - found.macro_auc)


def test_unknown_labels_are_left_out_of_everything(found: Assessment) -> None:
    faces = _faces()
    answers = faces.attributes.copy()
    answers[::3, 0] = 0
    after = assess(_trained(), replace(faces, attributes=answers), _others(), DETECTOR)
    assert after.attributes[1] == found.attributes[1]
    assert after.attributes[0].rows == int((answers[~tune_rows(faces.identity), 0] != 0).sum())
    assert after.attributes[0].auc > 0.8
    assert after.macro.auc.low_95 < after.macro_auc < after.macro.auc.high_95


def test_an_attribute_with_one_answer_only_is_named_before_any_work() -> None:
    faces = _faces()
    answers = faces.attributes.copy()
    answers[tune_rows(faces.identity), 1] = -1
    with pytest.raises(DataError, match="Wearing_Hat"):
        check_halves(replace(faces, attributes=answers), _others())
    with pytest.raises(DataError, match="Wearing_Hat"):
        assess(_trained(), replace(faces, attributes=answers), _others(), DETECTOR)


def test_an_attribute_with_one_answer_only_on_report_has_no_figure_and_the_mean_passes_over_it() -> None:
    faces = _faces()
    answers = faces.attributes.copy()
    answers[~tune_rows(faces.identity), 1] = -1
    after = assess(_trained(), replace(faces, attributes=answers), _others(), DETECTOR)
    assert np.isnan(after.attributes[1].auc)
    assert after.macro_auc == after.attributes[0].auc
    assert json.loads(json.dumps(after.to_record(), allow_nan=False))["attributes"][1]["auc"] is None


def test_an_empty_half_is_said() -> None:
    faces = _faces()
    with pytest.raises(DataError, match="report half"):
        check_halves(faces.rows(tune_rows(faces.identity)), _others())
    with pytest.raises(DataError, match="without a face"):
        check_halves(faces, _others().rows(tune_rows(_others().identity)))


def test_the_accuracy_rule_cuts_at_zero_and_prior_as_often_as_it_is_true() -> None:
    accuracy = assess(_trained(), _faces(), _others(), DETECTOR, rule="accuracy")
    assert accuracy.schema.thresholds == (0.0, 0.0)
    assert accuracy.rule == "accuracy"
    prior = assess(_trained(), _faces(), _others(), DETECTOR, rule="prior")
    assert prior.schema.thresholds != accuracy.schema.thresholds


def test_an_unknown_rule_and_an_impossible_coverage_are_refused() -> None:
    with pytest.raises(ConfigError, match="best"):
        assess(_trained(), _faces(), _others(), DETECTOR, rule="best")
    with pytest.raises(ConfigError, match="Coverage"):
        assess(_trained(), _faces(), _others(), DETECTOR, coverage=0.0)


def test_abstaining_leaves_the_asked_part_open_and_answers_better(found: Assessment) -> None:
    after = assess(_trained(), _faces(), _others(), DETECTOR, coverage=0.7)
    assert found.schema.abstain == ()
    assert len(after.schema.abstain) == 2
    for each, always in zip(after.attributes, found.attributes, strict=True):
        assert each.coverage == pytest.approx(0.7, abs=0.12)
        assert each.selective_accuracy > always.selective_accuracy == always.accuracy
        assert (always.coverage, each.accuracy) == (1.0, always.accuracy)
    low, high = after.schema.abstain[0]
    values = np.array([(low + high) / 2, high, 0.0], np.float32)
    answers = AttributeLogits(values, after.schema).decisions()
    assert answers["Smiling"] is None
    assert after.schema.thresholds[0] == pytest.approx((low + high) / 2)


def test_presence_is_judged_by_its_worst_kind(found: Assessment) -> None:
    counted = [each for each in found.presence if each.counts]
    assert [each.against for each in counted][:3] == [
        "pictures without a face",
        "textures",
        "flat and sloping fields",
    ]
    assert found.worst_presence.auc == min(each.auc for each in counted)
    harder = replace(found.presence[-1], auc=-1.0)
    assert not harder.counts
    assert replace(found, presence=(*found.presence, harder)).worst_presence == found.worst_presence
    assert found.false_rejects == pytest.approx(0.02, abs=0.05)
    assert found.false_rejects_in_place <= found.false_rejects


def test_groups_are_those_of_the_report_half(found: Assessment) -> None:
    assert found.groups is not None
    assert sum(row.rows for row in found.groups.rows) == found.faces
    assert found.groups.shared == NAMES
    assert found.to_record()["groups"]["worst"] in {"Male", "not Male"}


def test_noise_costs_and_intervals_hold_their_figure(found: Assessment) -> None:
    assert found.macro_auc_noise_free >= found.macro_auc - 0.02
    for each in (found.macro.auc, found.macro.average_precision, found.macro.accuracy):
        assert each.low_95 < each.value < each.high_95
    assert found.macro.auc.value > 0.5
    assert found.macro.average_precision.value > found.macro.prevalence


def test_more_scenes_than_are_measured_at_once_give_one_logit_each(
    found: Assessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.attributes.assess.ROWS_AT_ONCE", 50)
    after = assess(_trained(), _faces(), _others(), DETECTOR)
    assert after.faces == found.faces
    assert after.macro_auc == pytest.approx(found.macro_auc, abs=0.03)
    # Without noise nothing depends on how scenes are split, but calibration does on the noise of tune.
    assert after.macro_auc_noise_free == pytest.approx(found.macro_auc_noise_free, abs=1e-9)
