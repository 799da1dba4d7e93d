import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from host.cli import main
from lab.bundles import SHIPPED, shipped_bundle
from lsi.attributes import ATTR_LITE
from lsi.bundle import read_bundle


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
