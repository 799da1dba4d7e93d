import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from host.cli import main
from lab.bundles import SHIPPED, shipped_bundle
from lab.evaluation import Answers, attribute_figures
from lsi.attributes import ATTR_LITE
from lsi.bundle import parse_bundle, read_bundle
from lsi.manifest import canonical_json
from tests.bundles import NAMES, small_bundle
from training.data_sets.data import DataFile


def data_file(path: Path, rows: int, *, labelled: bool, seed: int = 0) -> Path:
    """Clouds with random labels: nothing to learn, everything to run through."""
    generator = np.random.default_rng(seed)
    streams = []
    for _ in range(rows):
        buffer = io.BytesIO()
        clouds = Image.fromarray(generator.integers(0, 255, (8, 8, 3), np.uint8)).resize((128, 128))
        clouds.save(buffer, "WEBP")
        streams.append(buffer.getvalue())
    fields = {
        "image_bytes": np.frombuffer(b"".join(streams), np.uint8),
        "offsets": np.cumsum([0, *map(len, streams)]),
    }
    if labelled:
        fields["attributes"] = np.where(generator.random((rows, 4)) < 0.4, 1, -1).astype(np.int8)
        fields["attribute_names"] = np.array(sorted(ATTR_LITE))
        fields["identity"] = np.arange(rows) // 2
    np.savez(path, **fields)  # type: ignore[arg-type] # fields of several types
    return path


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["evaluate", str(shipped_bundle()), *arguments, "--json"]) == 0
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_a_bundle_is_evaluated_on_any_file_of_the_layout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = data_file(tmp_path / "f.npz", 24, labelled=True)
    others = data_file(tmp_path / "o.npz", 6, labelled=False, seed=1)
    result = evaluated(capsys, "--data", str(faces), "--nonfaces", str(others))
    assert (result["rows"], result["d"], result["arms"], result["data"]) == (24, 16, 2, "f.npz")
    assert set(result["attributes"]) == ATTR_LITE  # type: ignore[call-overload] # a mapping
    assert 0 < result["macro_auc"] < 1  # type: ignore[operator] # a number
    assert result["macro_auc_chance"] == 0.5
    assert "100 nW" in str(result["light"])
    assert set(result["presence"]) >= {"auc", "auc_chance", "others_taken_for_faces"}  # type: ignore[call-overload]


def test_the_parts_of_a_file_share_no_person_and_make_up_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = str(data_file(tmp_path / "f.npz", 40, labelled=True))
    rows = {
        part: evaluated(capsys, "--data", faces, "--part", part, "--ideal")["rows"]
        for part in ("all", "tune", "report")
    }
    assert rows["all"] == 40
    assert rows["tune"] + rows["report"] == 40  # type: ignore[operator] # numbers
    assert rows["tune"] % 2 == 0  # type: ignore[operator] # two rows a person


def figures(answers: "np.ndarray", logits: "np.ndarray", abstain: object = None) -> dict[str, Any]:
    """Figures of the small bundle (Smiling cut at 0, Eyeglasses at 1) on given answers and logits (n, 2)."""
    document = {"names": NAMES, "thresholds": [0, 1], "presence_threshold": 0}
    document |= {} if abstain is None else {"abstain": abstain}
    bundle = parse_bundle(small_bundle(attributes=canonical_json(document)), "small")
    rows = len(answers)
    data = SimpleNamespace(path=Path("f.npz"), attribute_names=NAMES, attributes=answers.astype(np.int8))
    given = Answers(np.hstack((logits, np.zeros((rows, 1)))), np.arange(rows))
    return attribute_figures(bundle, cast("DataFile", data), range(rows), given)


def test_unknown_labels_do_not_count() -> None:
    generator = np.random.default_rng(0)
    answers = np.where(generator.random((60, 2)) < 0.4, 1, -1)
    logits = generator.normal(size=(60, 2)) + answers
    unknown = answers.copy()
    unknown[20:, 0] = 0
    found, expected = figures(unknown, logits), figures(answers[:20], logits[:20])
    assert found["attributes"]["Smiling"] == expected["attributes"]["Smiling"]
    assert found["attributes"]["Smiling"]["rows"] == 20
    assert found["attributes"]["Eyeglasses"]["rows"] == 60
    areas = [found["attributes"][name]["auc"] for name in NAMES]
    assert found["macro_auc"] == pytest.approx(np.mean(areas))
    low, high = found["macro_auc_95"]
    assert low < found["macro_auc"] < high


def test_an_attribute_of_unknown_labels_alone_has_no_figure_and_the_mean_passes_over_it() -> None:
    answers = np.stack((np.zeros(8, np.int8), np.arange(8) % 2 * 2 - 1), axis=1)
    found = figures(answers, np.stack((np.arange(8.0), 2.0 * np.sign(np.arange(8) % 2 - 0.5)), axis=1))
    assert np.isnan(found["attributes"]["Smiling"]["auc"])
    assert (found["macro_auc"], found["macro_accuracy"]) == (1.0, 1.0)


def test_open_answers_are_counted_apart() -> None:
    answers = np.array([[1, 1], [-1, -1], [1, 1], [-1, -1]])
    logits = np.array([[-0.25, 2], [0.25, 0], [3.0, 2], [-3.0, 0]])
    found = figures(answers, logits, abstain=[[-0.5, 0.5], [1, 1]])["attributes"]
    assert (found["Smiling"]["coverage"], found["Smiling"]["selective_accuracy"]) == (0.5, 1.0)
    assert found["Smiling"]["accuracy"] == 0.5
    assert (found["Eyeglasses"]["coverage"], found["Eyeglasses"]["selective_accuracy"]) == (1.0, 1.0)


def test_precision_and_probabilities_stand_beside_what_says_little() -> None:
    answers = np.array([[1, 1], [-1, 1], [-1, -1], [-1, -1]])
    found = figures(answers, np.array([[0.0, 2], [1.0, 2], [-1.0, 0], [-1.0, 0]]))
    smiling = found["attributes"]["Smiling"]
    assert (smiling["average_precision"], smiling["positive_rate"]) == (0.5, 0.25)
    chance = 1 / (1 + np.exp(-np.array([0.0, 1.0, -1.0, -1.0])))
    right = np.array([1, 0, 0, 0])
    expected = 1 - ((chance - right) ** 2).mean() / (0.25 * 0.75)
    assert smiling["brier_skill"] == pytest.approx(expected)
    # The two equal probabilities share a bin.
    assert smiling["ece"] == pytest.approx((0.5 + chance[1] + 2 * chance[2]) / 4)
    assert found["macro_average_precision"] == pytest.approx((0.5 + 1) / 2)


def test_in_the_dark_every_scan_is_dropped_and_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = str(data_file(tmp_path / "f.npz", 4, labelled=True))
    others = str(data_file(tmp_path / "o.npz", 2, labelled=False))
    dim = evaluated(capsys, "--data", faces, "--power-nw", "0.001", "--nonfaces", others)
    assert dim["dropped"] == 4


def test_a_table_for_people_has_the_majority_beside_the_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = str(data_file(tmp_path / "f.npz", 12, labelled=True))
    assert main(["evaluate", str(shipped_bundle()), "--data", faces, "--ideal"]) == 0
    out = capsys.readouterr().out
    assert "majority" in out
    assert all(name in out for name in ATTR_LITE)


def test_a_file_without_the_attributes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = str(data_file(tmp_path / "o.npz", 2, labelled=False))
    assert main(["evaluate", str(shipped_bundle()), "--data", others, "--ideal"]) == 20
    assert "does not label" in capsys.readouterr().err


def test_the_shipped_bundle_is_small_and_allows_only_attr_lite() -> None:
    path = shipped_bundle()
    bundle = read_bundle(path)
    assert path.name == SHIPPED
    assert path.stat().st_size < 2**20
    assert bundle.patterns.shape == (16, 64, 64)
    assert bundle.allowed == ATTR_LITE
    assert "CelebA-HQ" in bundle.card
    assert "non-commercial" in bundle.card
