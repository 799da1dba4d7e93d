"""Curves of a tiny checkpoint, and limits read off points by hand."""

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the report needs PyTorch (lsi-host[train])")

from lab.report_curves import AXES, Axis, Bench, curves, envelope, envelope_sentences
from lab.report_models import Model
from tests.lab.report_scene import bench, model
from training.light.disturbance import Disturbance


def curve(points: list[tuple[float, float]], *, log: bool = False) -> dict[str, Any]:
    found = [{"x": x, "accuracy": accuracy, "auc": 0.5, "faces_seen": 1.0} for x, accuracy in points]
    line = {"d": 16, "label": "d = 16", "seed": 0, "points": found}
    return {"axis": "shift_px", "title": "Shift", "unit": "pixels of 64", "log": log, "lines": [line]}


def test_the_limit_lies_where_a_point_is_lost_between_two_strengths() -> None:
    (found,) = envelope(curve([(0, 0.900), (1, 0.896), (2, 0.884), (4, 0.700)]))
    assert found["limit"] == pytest.approx(1.5)
    assert (found["inside"], found["d"]) == (False, 16)


def test_the_first_loss_counts_even_if_it_comes_back() -> None:
    (found,) = envelope(curve([(0, 0.90), (1, 0.88), (2, 0.90)]))
    assert found["limit"] == pytest.approx(0.5)


def test_an_axis_that_never_costs_a_point_is_safe_as_far_as_it_was_tried() -> None:
    (found,) = envelope(curve([(0, 0.90), (0.3, 0.8901)]))
    assert (found["limit"], found["inside"]) == (0.3, True)


def test_light_is_safe_at_its_bright_end_and_interpolated_in_its_logarithm() -> None:
    (found,) = envelope(curve([(1, 0.70), (10, 0.88), (100, 0.90), (1000, 0.90)], log=True))
    assert found["limit"] == pytest.approx(10**1.5)


def test_the_sentences_say_which_side_is_safe() -> None:
    assert envelope_sentences([curve([(0, 0.9), (2, 0.88)])]) == ["Shift: up to 1 pixels of 64 at d = 16."]
    (dark,) = envelope_sentences([curve([(1, 0.9), (10, 0.9)], log=True)])
    assert dark == "Shift: from 1 pixels of 64 at d = 16 (nothing tried cost a point)."


def test_every_axis_is_a_field_of_the_disturbance_and_starts_at_nothing() -> None:
    fields = {each.name for each in dataclasses.fields(Disturbance)}
    assert {axis.key for axis in AXES} == fields
    assert all(axis.strengths[0] == 0 and list(axis.strengths) == sorted(axis.strengths) for axis in AXES)


@pytest.fixture(scope="module")
def tiny() -> tuple[Model, Bench]:
    return model(), bench(rows=48)


def test_light_comes_first_then_every_axis_with_a_line_per_model(tiny: tuple[Model, Bench]) -> None:
    lines: list[str] = []
    axes = [Axis("gain", "Gain", "%", (0, 0.3), 100), Axis("shift_px", "Shift", "px", (0, 8))]
    found = curves([tiny[0]], tiny[1], axes, lines.append)
    names = ["mcp3208_power_nw", "ad7383_4_power_nw", "ideal_photons", "gain", "shift_px"]
    assert [each["axis"] for each in found] == names
    assert [each["log"] for each in found] == [True] * 3 + [False] * 2
    assert len(lines) == 3
    gain, shift = found[3]["lines"][0], found[4]["lines"][0]
    assert [point["x"] for point in gain["points"]] == [0, 30]
    assert gain["points"][0] == shift["points"][0]
    assert 0 <= shift["points"][1]["accuracy"] <= 1


def test_more_light_makes_the_measurement_of_a_model_that_can_see_surer(tiny: tuple[Model, Bench]) -> None:
    seeing, on = tiny
    clean = seeing.logits(on.report, None)
    dim, bright = (seeing.logits(on.report, power_nw) for power_nw in (1.0, 300.0))
    assert np.abs(bright - clean).mean() < 0.2 * np.abs(dim - clean).mean()
