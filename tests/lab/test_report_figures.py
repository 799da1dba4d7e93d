"""The drawings as they stand in a page: whole, without addresses, with what they promise."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib (lsi-host[report])")

from lab import report_figures as figures

RAW = """<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="10pt" height="5pt" viewBox="0 0 10 5" xmlns="http://www.w3.org/2000/svg">
 <metadata><rdf about="http://example.org"/></metadata>
 <path id="m1"/><use xlink:href="#m1"/><g clip-path="url(#p2)"/>
</svg>
"""


def curve(*, log: bool = False) -> dict[str, Any]:
    points = [{"x": x, "accuracy": y, "auc": 0.5, "faces_seen": 1.0} for x, y in ((1, 0.9), (2, 0.85))]
    lines = [{"d": d, "label": f"d = {d}", "seed": 0, "points": points} for d in (4, 16)]
    return {"axis": "shift_px", "title": "Shift", "unit": "pixels of 64", "log": log, "lines": lines}


def limits(*, inside: bool) -> list[dict[str, Any]]:
    return [{"d": d, "seed": 0, "limit": 1.5, "inside": inside} for d in (4, 16)]


def test_only_the_element_stays_and_its_ids_belong_to_it() -> None:
    found = figures.inline(RAW, "one", "what it shows")
    assert found.startswith('<svg viewBox="0 0 10 5" role="img" aria-label="what it shows">')
    assert found.endswith("</svg>")
    assert "http" not in found
    assert "metadata" not in found
    assert 'id="one-m1"' in found
    assert 'href="#one-m1"' in found
    assert "url(#one-p2)" in found


def test_what_is_told_instead_of_a_drawing_cannot_break_out_of_it() -> None:
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in figures.inline(RAW, "one", 'a "b" <c>')


def test_a_curve_names_axes_units_lines_and_the_trivial_predictor() -> None:
    found = figures.curve(curve(), 0.79, limits(inside=False))
    words = ("Shift (pixels of 64)", "Accuracy (%)", "d = 4", "d = 16", "always the commoner answer")
    assert all(f">{word}<" in found for word in words)
    assert "http" not in found
    assert "<script" not in found


def test_the_mark_of_a_lost_point_is_drawn_only_where_one_is_lost() -> None:
    shown = [figures.curve(curve(), 0.79, limits(inside=inside)) for inside in (True, False)]
    assert shown[0].count("stroke-dasharray") + 2 == shown[1].count("stroke-dasharray")


def test_the_same_figures_give_the_same_drawing() -> None:
    assert figures.curve(curve(log=True), 0.79, []) == figures.curve(curve(log=True), 0.79, [])


class _Ids(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.ids += [value for name, value in attrs if name == "id" and value]


def test_two_drawings_share_no_id_and_point_only_into_themselves() -> None:
    other = {**curve(), "axis": "scale"}
    both = [figures.curve(each, 0.79, []) for each in (curve(), other)]
    ids = []
    for svg in both:
        parser = _Ids()
        parser.feed(svg)
        ids.append(set(parser.ids))
        used = re.findall(r'(?:href="#|url\(#)([^")]+)', svg)
        assert used
        assert set(used) <= ids[-1]
    assert not ids[0] & ids[1]


def test_groups_without_a_figure_are_not_drawn() -> None:
    rows = [
        {"group": "Male, Young", "rows": 5, "balanced_accuracy": 0.8, "low_95": 0.7, "high_95": 0.9},
        {"group": "Male, not Young", "rows": 0, "balanced_accuracy": float("nan"), "low_95": 0, "high_95": 0},
    ]
    found = figures.groups({"rows": rows})
    assert "Male, Young (5)" in found
    assert "not Young" not in found


def test_the_reliability_diagram_has_its_error_and_the_climatology() -> None:
    bins = [{"mean_probability": 0.2, "positive_share": 0.25, "rows": 10}]
    found = figures.reliability(
        {"shipped": {"bins": bins, "ece": 0.05}, "refitted": {"bins": bins, "ece": 0.01}}
    )
    assert all(word in found for word in ("as shipped, ECE 0.050", "ECE 0.010", "always the prevalence"))
