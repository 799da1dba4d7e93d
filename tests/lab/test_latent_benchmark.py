"""How the figures that the goals name follow from a report."""

import json

import pytest

from benchmarks.latent import RUNS, of_faces


def _row(metric: str, d: int, value: float, **beside: float) -> dict[str, object]:
    return {
        "metric": metric,
        "d": d,
        "value": value,
        "beside": {k.replace("_", " "): v for k, v in beside.items()},
    }


def test_figures_of_faces_follow_from_the_report() -> None:
    direct = {row["d"]: row["auc"] for row in json.loads(RUNS.read_text("utf-8"))["rows"]}[64]
    rows = [
        _row("attribute_auc", 64, direct - 0.02),
        _row("verification_auc", 128, 0.8, mean_face=0.5, teacher=0.9),
        _row("landmark_nme", 16, 0.015, mean_shape=0.03),
        _row("segmentation_f1", 64, 0.45, teacher=0.6, modal_map=0.3),
    ]
    found = {figure.name: figure for figure in of_faces({"rows": rows})}
    assert found["latent_vs_direct_auc_points_d64"].value == pytest.approx(-2)
    assert found["latent_vs_direct_auc_points_d64"].holds is False
    assert found["verification_share_of_ceiling_d128"].value == pytest.approx(0.75)
    assert found["nme_below_mean_shape_share_d16"].value == pytest.approx(0.5)
    assert found["nme_below_mean_shape_share_d16"].holds is True
    assert found["f1_share_of_ceiling_d64"].value == pytest.approx(0.75)
    assert found["f1_share_of_ceiling_d64"].holds is False


def test_what_the_report_lacks_is_left_out() -> None:
    assert of_faces({"rows": [_row("attribute_auc", 16, 0.8)]}) == []
