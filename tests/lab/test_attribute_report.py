"""Parts of the document: the main checkpoint, one attribute counted by hand, groups."""

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the report needs PyTorch (lsi-host[train])")

from lab.attribute_report import PAPER_ACCURACY, Material, build, main_model
from lab.report_curves import Axis
from lab.report_models import Model
from tests.lab.report_scene import bench, model
from training.read_outs.calibration import probabilities
from training.scores.groups import Grouping

AXIS = Axis("gain", "Gain", "%", (0, 0.3), 100)


def built(*, grouped: bool) -> tuple[dict[str, Any], Model, Material]:
    on, tiny = bench(rows=60), model()
    signs = np.where(np.random.default_rng(1).random((60, 2)) < 0.5, 1, -1).astype(np.int8)
    material = Material(
        bench=on,
        commoner_yes=np.array([True, False]),
        commoner_from="train",
        grouping=Grouping(("Male", "Young"), signs) if grouped else None,
        others=[],
        presence={},
    )
    return build([tiny], material, [AXIS], lambda _line: None), tiny, material


def test_the_papers_row_is_as_published() -> None:
    assert PAPER_ACCURACY == {4: 0.8175, 16: 0.8644, 32: 0.8806, 64: 0.8874, 128: 0.8920}


def test_the_main_checkpoint_is_the_nearest_to_16_masks_of_a_plain_run() -> None:
    tiny = model()
    assert main_model([tiny, dataclasses.replace(tiny, name="other")]).name == "tiny"
    special = dataclasses.replace(tiny, name="special", trained="one nested bank")
    assert main_model([special, tiny]).name == "tiny"


def test_a_run_of_another_kind_is_a_row_and_a_line_of_its_own() -> None:
    on, tiny = bench(rows=30), model()
    other = dataclasses.replace(tiny, name="other", trained="one nested bank")
    material = Material(on, np.array([True, True]), "train", None, [], {})
    document = build([tiny, other], material, [AXIS], lambda _line: None)
    assert [row["note"] for row in document["table"]] == ["", "", "one nested bank", "one nested bank"]
    assert [line["label"] for line in document["curves"][-1]["lines"]] == ["d = 6", "d = 6, one nested bank"]


def test_one_attribute_is_counted_at_the_checkpoints_own_threshold_and_logits() -> None:
    document, tiny, material = built(grouped=False)
    first, _ = document["per_attribute"]
    logits = tiny.logits(material.bench.report, 100.0)[:, 0]
    labels = material.bench.split.report[:, 0] > 0
    decided = logits >= tiny.checkpoint.attributes.thresholds[0]
    recall, rejected = decided[labels].mean(), (~decided[~labels]).mean()
    assert first["balanced_accuracy"] == pytest.approx((recall + rejected) / 2)
    assert first["majority"] == pytest.approx(labels.mean())
    prevalence = (material.bench.split.tune[:, 0] > 0).mean()
    skill = 1 - ((probabilities(logits) - labels) ** 2).mean() / ((prevalence - labels) ** 2).mean()
    assert first["brier_skill"] == pytest.approx(skill)
    assert document["groups"] is None


def test_groups_are_there_where_the_labels_are() -> None:
    document, _, _ = built(grouped=True)
    assert sum(row["rows"] for row in document["groups"]["rows"]) == 60


def test_an_attribute_with_one_answer_is_left_out_and_named() -> None:
    on, tiny = bench(rows=30), model()
    on.split.report[:, 1] = 1
    material = Material(on, np.array([True, True]), "train", None, [], {})
    document = build([tiny], material, [AXIS], lambda _line: None)
    assert (document["attributes"], document["left_out"]) == (["Smiling"], ["Wearing_Hat"])
    assert len(document["per_attribute"]) == 1
