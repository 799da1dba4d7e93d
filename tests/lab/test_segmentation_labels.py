"""Labels per pixel: made by a network that looks at brightness, read back, refused where they do not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from host.cli import main
from lab.segmentation_labels import NAMES, Classes, read_classes, save_classes
from lsi.errors import DataError
from tests.digits_domain import DigitsDomain
from training.generator.segmentation_head import IGNORED


def _network(path: Path, classes: int = 19) -> Path:
    """Class 1 where the picture is bright, class 0 elsewhere."""
    source = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 256, 256])
    sink = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes, 256, 256])
    weights = np.zeros((classes, 3, 1, 1), np.float32)
    weights[1] = 1
    bias = np.full(classes, -9, np.float32)
    bias[:2] = 0
    stored = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")]
    node = helper.make_node("Conv", ["input", "w", "b"], ["logits"])
    graph = helper.make_graph([node], "g", [source], [sink], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_a_network_labels_evenly_chosen_rows(digits: DigitsDomain, tmp_path: Path) -> None:
    network, output = _network(tmp_path / "net.onnx"), tmp_path / "labels.npz"
    words = ["lab", "segment", "--data", str(digits.files["train"]), "--network", str(network)]
    assert main([*words, "--rows", "5", "-o", str(output)]) == 0
    found = read_classes(output)
    assert found is not None
    assert (len(found.rows), found.rows[0], found.rows[-1]) == (5, 0, 319)
    assert found.names == NAMES
    bright = digits.latent_lesson.fields[found.rows] > 0.3
    labels = found.of(found.rows, 64) == 1
    assert (labels == bright).mean() > 0.9


def test_rows_without_a_label_are_ignored() -> None:
    labels = np.arange(2, dtype=np.uint8)[:, None, None] * np.ones((2, 4, 4), np.uint8)
    found = Classes(np.array([7, 3]), labels, ("a", "b")).of(np.array([3, 5, 7]), 2)
    assert found[:, 0, 0].tolist() == [1, IGNORED, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"segmentation": np.zeros((2, 4, 5), np.uint8)},
        {"segmentation": np.full((2, 4, 4), 2, np.uint8)},
        {"segmentation": np.zeros((2, 4, 4), np.int64)},
        {"rows": np.zeros(3, np.int64)},
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"rows": np.arange(2), "segmentation": np.zeros((2, 4, 4), np.uint8)} | change
    np.savez(tmp_path / "l.npz", allow_pickle=False, segmentation_names=np.array(["a", "b"]), **fields)
    with pytest.raises(DataError, match=r"l\.npz"):
        read_classes(tmp_path / "l.npz")


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    assert read_classes(None) is None
    with pytest.raises(DataError, match="No readable labels"):
        read_classes(tmp_path / "l.npz")
    save_classes(Classes(np.arange(1), np.zeros((1, 2, 2), np.uint8), ("a",)), tmp_path / "l.npz")
    content = (tmp_path / "l.npz").read_bytes()
    (tmp_path / "l.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"l\.npz"):
        read_classes(tmp_path / "l.npz")


def test_a_network_with_other_classes_is_refused(
    digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = _network(tmp_path / "net.onnx", classes=5)
    words = ["lab", "segment", "--data", str(digits.files["train"]), "--network", str(network)]
    assert main([*words, "--rows", "1", "-o", str(tmp_path / "l.npz")]) == 20
    assert "19 logits" in capsys.readouterr().err
