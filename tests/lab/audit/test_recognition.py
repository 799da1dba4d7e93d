from pathlib import Path

import numpy as np
import pytest

from lab.audit.recognition import (
    CROP_PX,
    TEMPLATE,
    OnnxRecogniser,
    cosines,
    guessed_embeddings,
    landmarks_of,
    real_embeddings,
    similarity,
)
from lsi.errors import ConfigError, DataError
from tests.lab.audit.crowd import faces_file
from tests.lab.audit.tiny_onnx import tiny_network
from training.data_sets.data import open_data


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> OnnxRecogniser:
    return OnnxRecogniser(tiny_network(tmp_path_factory.mktemp("net") / "tiny.onnx"))


def test_the_runtime_sees_the_crops_scaled_and_with_colours_first(network: OnnxRecogniser) -> None:
    crops = np.zeros((70, CROP_PX[1], CROP_PX[0], 3), np.uint8)
    crops[:, :, :, 0] = 255
    crops[3, :28, :32, 1] = 128
    found = network.embed(crops)
    assert found.shape == (70, 36)
    assert found[0] == pytest.approx(np.repeat([127.5 / 128, -127.5 / 128, -127.5 / 128], 12))
    assert found[3, 12] == pytest.approx(0.5 / 128, abs=1e-6)


def test_a_similarity_turns_scales_and_shifts() -> None:
    turn = 1.3 * np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]])
    found = similarity(TEMPLATE, TEMPLATE @ turn.T + [4, -7])
    assert found == pytest.approx(np.column_stack((turn, [4, -7])))


def test_five_points_come_from_sixty_eight(tmp_path: Path) -> None:
    points = landmarks_of(open_data(faces_file(tmp_path / "f.npz", 2, landmarks=True)))
    assert points is not None
    assert points.shape == (6, 5, 2)
    assert points[0] == pytest.approx(
        np.array([[48, 60.5], [79, 60.5], [63.25, 80], [50, 93.75], [77, 93.75]])
    )


def test_a_file_without_landmarks_has_none_and_strange_ones_are_refused(tmp_path: Path) -> None:
    path = faces_file(tmp_path / "f.npz", 2)
    assert landmarks_of(open_data(path)) is None
    with np.load(path) as archive:
        fields = dict(archive)
    np.savez(path, **fields, landmarks68_x4=np.zeros((6, 5, 2), np.int16))
    with pytest.raises(DataError, match="68, 2"):
        landmarks_of(open_data(path))


def test_a_good_guess_is_nearer_to_the_real_picture_than_anothers(
    tmp_path: Path, network: OnnxRecogniser
) -> None:
    data = open_data(faces_file(tmp_path / "f.npz", 6, 1, landmarks=True))
    points = landmarks_of(data)
    assert points is not None
    rows = np.arange(len(data))
    real = real_embeddings(network, data, rows, points)
    grey = np.stack([data.picture(int(row)).mean(axis=2) / 255 for row in rows]).astype(np.float32)
    guessed = guessed_embeddings(network, grey, points.mean(axis=0))
    own, other = cosines(guessed, real), cosines(guessed, np.roll(real, 1, axis=0))
    assert own.mean() > other.mean() + 0.1


@pytest.mark.parametrize("content", [b"", b"no network", b"\\x08\\x08"])
def test_what_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"net\.onnx"):
        OnnxRecogniser(path)


def test_a_network_of_another_input_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes input of shape"):
        OnnxRecogniser(tiny_network(tmp_path / "tall.onnx", height=140))
    with pytest.raises(ConfigError, match="No recognition network"):
        OnnxRecogniser(tmp_path / "absent.onnx")
