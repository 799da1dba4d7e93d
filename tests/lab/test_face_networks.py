"""The recogniser's crop, with a network that only looks at its corners; landmarks of a data file."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lab.face_networks import Recogniser, read_landmarks
from lsi.errors import DataError

TEMPLATE = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]]
)


def small_network(path: Path) -> Path:
    """Mean of each colour: the smallest embedding there is."""
    source = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 112, 96])
    sink = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])
    node = helper.make_node("ReduceMean", ["input", "axes"], ["embedding"], keepdims=0)
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    graph = helper.make_graph([node], "g", [source], [sink], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def _landmarks(
    five: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    points = np.zeros((1, 68, 2))
    points[0, 36:42], points[0, 42:48] = five[0], five[1]
    points[0, 30], points[0, 48], points[0, 54] = five[2], five[3], five[4]
    return points


def test_the_crop_follows_the_landmarks(tmp_path: Path) -> None:
    recogniser = Recogniser(small_network(tmp_path / "net.onnx"))
    picture = np.zeros((1, 128, 128, 3), np.uint8)
    picture[:, :112, :96] = (255, 128, 0)  # what the template covers when nothing is moved
    in_place = recogniser.embeddings(picture, _landmarks(TEMPLATE))
    assert np.linalg.norm(in_place) == pytest.approx(1, abs=1e-5)
    assert in_place[0] == pytest.approx(np.array([1, 0, -1]) / np.sqrt(2), abs=0.01)
    moved = np.roll(picture, (10, 20), axis=(1, 2))
    assert recogniser.embeddings(moved, _landmarks(TEMPLATE + np.array([20, 10]))) == pytest.approx(
        in_place, abs=0.01
    )
    assert recogniser.embeddings(moved, _landmarks(TEMPLATE)) != pytest.approx(in_place, abs=0.01)


def test_smaller_pictures_are_enlarged_to_the_frame(tmp_path: Path) -> None:
    recogniser = Recogniser(small_network(tmp_path / "net.onnx"))
    picture = np.full((1, 16, 16, 3), (200, 10, 60), np.uint8)
    large = np.full((1, 128, 128, 3), (200, 10, 60), np.uint8)
    points = _landmarks(TEMPLATE)
    assert recogniser.embeddings(picture, points) == pytest.approx(recogniser.embeddings(large, points))


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"net\.onnx"):
        Recogniser(tmp_path / "net.onnx")
    with pytest.raises(DataError, match=r"other\.onnx"):
        Recogniser(tmp_path / "other.onnx")


def test_landmarks_are_read_and_noisy_ones_marked(tmp_path: Path) -> None:
    points = np.full((3, 68, 2), 40, np.int16)
    np.savez(tmp_path / "d.npz", landmarks68_x4=points, landmark_noise=np.array([1.0, 4.0, -1.0]))
    found = read_landmarks(tmp_path / "d.npz")
    assert found is not None
    assert found[0][0, 0].tolist() == [10, 10]
    assert found[1].tolist() == [True, False, False]
    np.savez(tmp_path / "exact.npz", landmarks68_x4=points)  # renders need no estimate of noise
    exact = read_landmarks(tmp_path / "exact.npz")
    assert exact is not None
    assert exact[1].all()
    np.savez(tmp_path / "without.npz", a=points)
    assert read_landmarks(tmp_path / "without.npz") is None
    np.savez(tmp_path / "bad.npz", landmarks68_x4=points[:, :5], landmark_noise=np.zeros(3))
    with pytest.raises(DataError, match="68"):
        read_landmarks(tmp_path / "bad.npz")
    (tmp_path / "torn.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"torn\.npz"):
        read_landmarks(tmp_path / "torn.npz")
