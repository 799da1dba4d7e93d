"""A training run of seconds on drawn scenes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")

import torch

from tests.training.conftest import BOARD, Files
from training.attributes.assess import assess
from training.attributes.settings import Schedule, Settings
from training.attributes.student import Student, read_out_weights
from training.attributes.train import Lesson, Trained, train, train_together
from training.cli_commands.attributes_command import ATTRIBUTES
from training.cli_commands.command_parts import read_sensor
from training.data_sets.augmentation import Jitter
from training.data_sets.batches import SceneSource
from training.data_sets.data import FaceData, open_data, tune_rows
from training.light.forward_model import Detector
from training.read_outs.model import ReadOut

SETTINGS = Settings(d=8, seed=1, attributes=4, width=32)
SCHEDULE = Schedule(epochs=20, seed=1, batch=64, wide=16, negatives=32)
SHORT = replace(SCHEDULE, epochs=1)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(*read_sensor(BOARD))


@pytest.fixture(scope="module")
def faces(files: Files) -> FaceData:
    return open_data(files.data).faces((*ATTRIBUTES, "Extra"))


@pytest.fixture(scope="module")
def others(files: Files) -> FaceData:
    return open_data(files.nonfaces).faces()


@pytest.fixture(scope="module")
def lesson(faces: FaceData, others: FaceData, detector: Detector) -> Lesson:
    return Lesson(faces, others, detector)


@pytest.fixture(scope="module")
def trained(lesson: Lesson) -> Trained:
    return train(lesson, SCHEDULE, SETTINGS, lambda _: None)


def _silent(_: str) -> None:
    pass


def _same(one: Trained, other: Trained) -> bool:
    inputs = np.linspace(-1, 1, 8, dtype=np.float32)[None]
    logits = (one.read_out.logits(inputs), other.read_out.logits(inputs))
    return bool(np.array_equal(one.masks, other.masks)) and bool(np.array_equal(*logits))


def test_it_learns_to_answer_on_people_it_never_saw(
    trained: Trained, files: Files, detector: Detector
) -> None:
    val, val_others = open_data(files.val).faces(ATTRIBUTES), open_data(files.nonfaces_val).faces()
    found = assess(trained, val, val_others, detector)
    assert found.macro_auc > 0.9
    assert found.presence[0].auc > 0.9
    assert found.macro_auc_noise_free >= found.macro_auc - 0.02


def test_masks_moved_from_their_start(trained: Trained, lesson: Lesson) -> None:
    start = train(lesson, SHORT, replace(SETTINGS, mask_rate=1e-12), _silent)
    assert (trained.masks != start.masks).mean() > 0.05


def test_auxiliary_outputs_are_cut_off(trained: Trained) -> None:
    assert trained.read_out.outputs == len(ATTRIBUTES) + 1


def test_ranges_are_ordered_and_hold_zero_after_relu(trained: Trained) -> None:
    assert (trained.measurement_range[0] < trained.measurement_range[1]).all()
    low, high = trained.activation_range
    assert (low < high).all()
    assert (low[1:-1] == 0).all()


def test_the_same_seed_gives_the_same_model(lesson: Lesson) -> None:
    first, again, other = (train(lesson, SHORT, replace(SETTINGS, seed=seed), _silent) for seed in (5, 5, 6))
    assert _same(first, again)
    assert not _same(first, other)


def test_progress_has_one_line_per_epoch_with_the_time_left(lesson: Lesson) -> None:
    lines: list[str] = []
    train(lesson, replace(SHORT, epochs=2), SETTINGS, lines.append)
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert lines[-1].endswith("0 min left)")


def test_a_run_that_was_interrupted_ends_where_the_whole_one_ends(lesson: Lesson) -> None:
    two = replace(SHORT, epochs=2)
    states: list[dict[str, Any]] = []
    whole = train_together(lesson, two, [SETTINGS], _silent, save=states.append)[0]
    resumed = train_together(lesson, two, [SETTINGS], _silent, resume=states[0])[0]
    assert [state["epoch"] for state in states] == [1, 2]
    assert _same(whole, resumed)


def test_banks_side_by_side_do_not_touch_each_other(lesson: Lesson) -> None:
    other = replace(SETTINGS, d=4, seed=9)
    alone = train(lesson, SHORT, SETTINGS, _silent)
    together = train_together(lesson, SHORT, [SETTINGS, other], _silent)
    assert _same(alone, together[0])
    assert together[1].masks.shape[0] == 4


def test_a_teacher_replaces_part_of_the_labels(faces: FaceData, others: FaceData, detector: Detector) -> None:
    soft = np.full(faces.attributes.shape, 0.5, np.float32)
    taught = Lesson(faces, others, detector, soft)
    targets, known = taught.targets(replace(SETTINGS, soft_weight=0.4))
    hard = torch.tensor(faces.attributes > 0).float()
    assert torch.allclose(targets, 0.6 * hard + 0.2)
    assert bool(known.all())


def test_unknown_labels_do_not_count_without_a_teacher(
    faces: FaceData, others: FaceData, detector: Detector
) -> None:
    attributes = faces.attributes.copy()
    attributes[::2, 0] = 0
    some = FaceData(faces.luminance, attributes, faces.names, faces.identity)
    _, known = Lesson(some, others, detector).targets(SETTINGS)
    assert known[:, 0].tolist() == (np.arange(len(faces)) % 2 == 1).tolist()
    turned = attributes.copy()
    turned[attributes == 0] = 0
    soft = np.full(attributes.shape, 0.25, np.float32)
    targets, known = Lesson(some, others, detector, soft).targets(replace(SETTINGS, soft_weight=0.4))
    assert bool(known.all())
    assert torch.allclose(targets[::2, 0], torch.tensor(0.25))


def test_a_label_that_does_not_count_teaches_nothing(
    faces: FaceData, others: FaceData, detector: Detector
) -> None:
    half = np.arange(len(faces)) % 2 == 0
    known = np.where(half[:, None], 0, faces.attributes).astype(np.int8)
    told = FaceData(faces.luminance, known, faces.names, faces.identity)
    targets, counts = Lesson(told, others, detector).targets(SETTINGS)
    fields = torch.tensor(told.luminance)
    student = Student(SETTINGS, targets, counts, fields, 30)
    opposite = Student(SETTINGS, torch.where(counts, targets, 1 - targets), counts, fields, 30)
    scenes = SceneSource(
        torch.tensor(told.luminance),
        torch.tensor(others.luminance),
        Jitter(),
        torch.Generator().manual_seed(0),
    )
    batch = scenes.batch(torch.arange(64), 16, 32)
    assert student.step(batch, detector) == opposite.step(batch, detector)


def test_soft_labels_of_another_shape_are_refused(
    faces: FaceData, others: FaceData, detector: Detector
) -> None:
    with pytest.raises(ValueError, match="soft labels"):
        Lesson(faces, others, detector, np.zeros((1, 5), np.float32))


def test_a_nested_bank_gives_one_result_for_each_size_it_serves(lesson: Lesson) -> None:
    small, whole = train_together(lesson, SHORT, [replace(SETTINGS, nested=True)], _silent)
    assert (len(small.masks), len(whole.masks)) == (4, 8)
    assert (small.read_out.d, whole.read_out.d) == (4, 8)
    rows = [mask.tobytes() for mask in whole.masks]
    assert all(mask.tobytes() in rows for mask in small.masks)


@pytest.mark.parametrize("start", ["noise", "pca", "lda"])
def test_masks_can_start_elsewhere(lesson: Lesson, start: str) -> None:
    still = replace(SETTINGS, d=4, start=start, mask_rate=1e-12)
    masks = train(lesson, SHORT, still, _silent).masks
    assert masks.shape == (4, 64, 64)
    assert not np.array_equal(masks, train(lesson, SHORT, replace(still, start="dither"), _silent).masks)


def test_a_loss_on_the_masks_moves_their_open_fraction(lesson: Lesson) -> None:
    ladder = replace(SETTINGS, mask_losses=(("energy_ladder", 30.0),))
    pushed, free = (train(lesson, replace(SHORT, epochs=3), each, _silent) for each in (ladder, SETTINGS))
    assert pushed.masks.mean() < free.masks.mean() - 0.05


def test_features_of_a_mask_are_as_large_as_wanted(lesson: Lesson) -> None:
    masks = train(lesson, SHORT, replace(SETTINGS, feature_px=4), _silent).masks
    assert np.array_equal(masks, masks[:, ::4, ::4].repeat(4, axis=1).repeat(4, axis=2))


def test_unknown_names_in_the_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown mask losses"):
        replace(SETTINGS, mask_losses=(("brightness", 1.0),))
    with pytest.raises(ValueError, match="start 'zero'"):
        replace(SETTINGS, start="zero")
    with pytest.raises(ValueError, match="d must be"):
        replace(SETTINGS, d=0)


def test_the_range_of_each_logit_is_within_the_range_of_all(trained: Trained) -> None:
    low, high = trained.logit_range
    assert low.shape == (len(ATTRIBUTES) + 1,)
    assert float(low.min()) == pytest.approx(float(trained.activation_range[0][-1]))
    assert float(high.max()) == pytest.approx(float(trained.activation_range[1][-1]))


def test_a_still_rig_is_another_training(lesson: Lesson) -> None:
    still = train(lesson, SHORT, replace(SETTINGS, disturbance=None), _silent)
    assert not _same(still, train(lesson, SHORT, SETTINGS, _silent))


def test_training_without_noise_measures_the_exact_ratio(lesson: Lesson) -> None:
    exact = train(lesson, SHORT, replace(SETTINGS, power_bounds_nw=None), _silent)
    assert not _same(exact, train(lesson, SHORT, SETTINGS, _silent))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_numpy_read_out_computes_what_the_trained_one_does(batch_norm: bool) -> None:
    torch.manual_seed(0)
    read_out = ReadOut(5, 4, width=16, batch_norm=batch_norm)
    y = 0.3 + 0.05 * torch.randn(64, 5)
    for _ in range(50):
        read_out(y)
    read_out.eval()
    expected = read_out(y).detach().numpy()[:, [0, 3]]
    assert np.allclose(read_out_weights(read_out, [0, 3]).logits(y.numpy()), expected, atol=1e-5)


def test_thresholds_do_not_depend_on_the_report_half(
    trained: Trained, files: Files, detector: Detector
) -> None:
    val, others = open_data(files.val).faces(ATTRIBUTES), open_data(files.nonfaces_val).faces()
    tune = tune_rows(val.identity)[:, None]
    turned = FaceData(
        val.luminance,
        np.where(tune, val.attributes, -val.attributes).astype(np.int8),
        val.names,
        val.identity,
    )
    before, after = (assess(trained, each, others, detector) for each in (val, turned))
    assert after.schema == before.schema
    assert after.macro_auc == pytest.approx(1 - before.macro_auc)


def test_figures_are_those_of_the_report_half(trained: Trained, files: Files, detector: Detector) -> None:
    val = open_data(files.val).faces(ATTRIBUTES)
    found = assess(trained, val, open_data(files.nonfaces_val).faces(), detector)
    report = ~tune_rows(val.identity)
    assert found.faces == int(report.sum())
    positives = (val.attributes[report] > 0).sum(axis=0)
    assert [each.positives for each in found.attributes] == positives.tolist()


def test_answers_for_faces_far_from_their_place_count_by_their_weight(lesson: Lesson) -> None:
    ignored, counted = (train(lesson, SHORT, replace(SETTINGS, wide_weight=w), _silent) for w in (0.0, 1.0))
    assert not _same(ignored, counted)
