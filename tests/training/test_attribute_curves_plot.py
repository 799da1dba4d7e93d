"""The drawing of what limits the attributes."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("matplotlib", reason="drawings need matplotlib (lsi-host[report])")

from benchmarks.attribute_curves_plot import drawing, main, points

BASE = {"curve": "base", "x": 0, "passes": 4, "faces": 800, "train_auc": 0.9, "report_auc": 0.87}
FEWER = {"curve": "faces", "x": 100, "passes": 32, "faces": 100, "train_auc": 0.99, "report_auc": 0.8}
LONGER = {"curve": "passes", "x": 8, "passes": 8, "faces": 800, "train_auc": 0.92, "report_auc": 0.88}
RUNS: dict[str, Any] = {
    "ceiling": {"macro_auc": 0.92},
    "rows": [{"d": 16, "auc": 0.86}, {"d": 64, "auc": 0.882}],
}


def test_the_base_is_a_point_of_every_curve_in_its_place() -> None:
    rows = [LONGER, BASE, FEWER]
    assert points(rows, "faces", "report_auc") == [(100, 0.8), (800, 0.87)]
    assert points(rows, "passes", "train_auc") == [(4, 0.9), (8, 0.92)]
    assert points(rows, "width", "report_auc") == [(512, 0.87)]
    assert points(rows, "mask_px", "report_auc") == [(64, 0.87)]


def test_there_is_a_panel_for_each_curve_that_was_measured() -> None:
    svg = drawing([BASE, FEWER, LONGER], RUNS)
    assert "faces learned from" in svg
    assert "passes over the faces" in svg
    assert "units of a hidden layer" not in svg
    assert "masks (long runs)" not in svg
    learned = [row | {"train_auc": 0.9} for row in RUNS["rows"]]
    assert "masks (long runs)" in drawing([BASE, FEWER], RUNS | {"rows": learned})
    assert svg == drawing([BASE, FEWER, LONGER], RUNS)


def test_without_curves_the_committed_long_runs_are_drawn_as_a_file_of_its_own(tmp_path: Path) -> None:
    output = tmp_path / "curves.svg"
    assert main(["-o", str(output), "--curves", str(tmp_path / "none.json")]) == 0
    text = output.read_text("utf-8")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own file
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
