"""A training run of seconds on drawn scenes."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")

import torch

from tests.training.conftest import BOARD, Files
from training.assess import assess
from training.data import FaceData, open_data, tune_rows
from training.forward_model import Detector
from training.model import ReadOut
from training.train import Settings, Trained, read_out_weights, train
from training.train_command import ATTRIBUTES, read_sensor

SETTINGS = Settings(d=8, epochs=20, seed=1, attributes=4, width=32, batch=64, negatives=32)
SHORT = replace(SETTINGS, epochs=1)


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
def trained(faces: FaceData, others: FaceData, detector: Detector) -> Trained:
    return train(faces, others, detector, SETTINGS, lambda _: None)


def test_it_learns_to_answer_on_people_it_never_saw(
    trained: Trained, files: Files, detector: Detector
) -> None:
    val, val_others = open_data(files.val).faces(ATTRIBUTES), open_data(files.nonfaces_val).faces()
    found = assess(trained, val, val_others, detector)
    assert found.macro_auc > 0.9
    assert found.presence[0].auc > 0.9
    assert found.macro_auc_noise_free >= found.macro_auc - 0.02


def test_masks_moved_from_their_start(
    trained: Trained, faces: FaceData, others: FaceData, detector: Detector
) -> None:
    still = replace(SHORT, mask_rate=1e-12)
    start = train(faces, others, detector, still, lambda _: None)
    assert (trained.masks != start.masks).mean() > 0.05


def test_auxiliary_outputs_are_cut_off(trained: Trained) -> None:
    assert trained.read_out.outputs == len(ATTRIBUTES) + 1


def test_ranges_are_ordered_and_hold_zero_after_relu(trained: Trained) -> None:
    assert (trained.measurement_range[0] < trained.measurement_range[1]).all()
    low, high = trained.activation_range
    assert (low < high).all()
    assert (low[1:-1] == 0).all()


def test_the_same_seed_gives_the_same_model(faces: FaceData, others: FaceData, detector: Detector) -> None:
    runs = [train(faces, others, detector, replace(SHORT, seed=seed), lambda _: None) for seed in (5, 5, 6)]
    inputs = np.zeros((1, 8), np.float32)
    first, again, other = (run.read_out.logits(inputs) for run in runs)
    assert np.array_equal(first, again)
    assert np.array_equal(runs[0].masks, runs[1].masks)
    assert not np.array_equal(first, other)


def test_progress_has_one_line_per_epoch(faces: FaceData, others: FaceData, detector: Detector) -> None:
    lines: list[str] = []
    train(faces, others, detector, replace(SHORT, epochs=2), lines.append)
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]


def test_the_numpy_read_out_computes_what_the_trained_one_does() -> None:
    torch.manual_seed(0)
    read_out = ReadOut(5, 4, width=16)
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
