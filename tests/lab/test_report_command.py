"""``lsi report`` from files to page: a tiny checkpoint on drawn faces."""

import argparse
import importlib.util
import json
from collections import Counter
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab import report_command
from lsi.errors import ConfigError, DataError
from tests.training.scenes import write_faces, write_textures
from tests.training.tiny import tiny_checkpoint
from training.attributes.checkpoint import save_checkpoint

VOID = {"meta", "img", "br", "path", "use"}


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    return parser.parse_args(words)


@dataclass(frozen=True, slots=True)
class Made:
    """A report with the folder that it was made in."""

    folder: Path
    document: dict[str, Any]
    html: str


def words_for(folder: Path, *more: str) -> list[str]:
    """The command line of a report on two seeds of one d."""
    words = [str(folder / "a.npz"), str(folder / "b.npz"), "--val", str(folder / "val.npz")]
    words += ["--nonfaces-val", str(folder / "none.npz"), "-o", str(folder / "out"), "--threads", "1"]
    return [*words, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints, val, pictures without a face, training rows, a teacher, results of long runs."""
    pytest.importorskip("torch", reason="the report needs PyTorch (lsi-host[train])")
    pytest.importorskip("matplotlib", reason="the report needs matplotlib (lsi-host[report])")
    from tests.lab.report_scene import record, save_teacher  # noqa: PLC0415 - needs PyTorch

    where = tmp_path_factory.mktemp("report")
    for seed, name in enumerate("ab"):
        save_checkpoint(tiny_checkpoint(record(seed)), where / f"{name}.npz")
    write_faces(where / "val.npz", 80, 2)
    write_faces(where / "train.npz", 96, 1)
    write_textures(where / "none.npz", 24, 2)
    with np.load(where / "val.npz") as val:
        names = tuple(map(str, val["attribute_names"]))
        save_teacher(where / "teacher.npz", val["attributes"].astype(np.float32), names)
    figure = {"name": "d16_accuracy", "value": 87.5, "unit": "%", "goal": "at least 87.4", "holds": True}
    (where / "runs.json").write_text(json.dumps({"figures": [{**figure, "beside": {"majority": 79.3}}]}))
    return where


@pytest.fixture(scope="module")
def made(folder: Path) -> Made:
    """A report with everything in it, on three axes."""
    from lab import report_curves  # noqa: PLC0415 - needs PyTorch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_curves, "AXES", report_curves.AXES[3:5])
        more = ["--data", str(folder / "train.npz"), "--teacher", str(folder / "teacher.npz")]
        more += ["--results", str(folder / "runs.json"), "--baseline-epochs", "1"]
        assert report_command.run(parsed(words_for(folder, *more))) == 0
    document = json.loads((folder / "out" / "report.json").read_text("utf-8"))
    return Made(folder, document, (folder / "out" / "report.html").read_text("utf-8"))


class _Page(HTMLParser):
    """Notes tags and refuses what is not well-formed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        self.addresses += [
            value or "" for name, value in attrs if name in {"src", "href", "srcset", "action"}
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_is_well_formed_and_has_its_parts(made: Made) -> None:
    page = _Page()
    page.feed(made.html)
    page.close()
    assert page.open == []
    assert page.seen["h1"] == 1
    # Two over d, three over light, two axes, reliability, attributes; no groups in these labels.
    assert page.seen["svg"] == 9
    assert page.seen["img"] == 6
    assert "report" in made.html


def test_the_page_fetches_nothing_and_runs_nothing(made: Made) -> None:
    page = _Page()
    page.feed(made.html)
    assert page.seen["script"] == page.seen["link"] == page.seen["iframe"] == page.seen["a"] == 0
    assert all(each.startswith(("#", "data:image/png;base64,")) for each in page.addresses)
    assert "://" not in made.html
    assert "@import" not in made.html


def test_neither_file_says_where_it_was_made(made: Made) -> None:
    assert str(made.folder) not in made.html + json.dumps(made.document)
    assert made.document["command"].startswith("lsi report a.npz b.npz --val val.npz --nonfaces-val none.npz")


def test_the_table_has_checkpoints_of_two_seeds_every_baseline_and_the_teacher(made: Made) -> None:
    table = made.document["table"]
    systems = [row["system"] for row in table]
    assert systems == [
        "learned masks (this checkpoint)",
        "learned masks (this checkpoint)",
        "random masks",
        "low-frequency Hadamard",
        "PCA components",
        "learned masks, short run",
        "learned masks, short run, one arm",
        "freeform pixels, short run",
        "ridge on the 32 x 32 colour picture",
        "full-picture CNN (teacher)",
    ]
    assert [row["light"] for row in table[:2]] == ["noise-free", "100 nW, 12 bit"]
    assert table[0]["seeds"] == [0, 1]
    assert table[0]["auc"]["spread"] == 0.0
    assert table[4]["note"] == "not realisable as binary masks"
    assert (table[7]["d"], table[7]["arms"]) == (8, "one detector per mask")
    assert table[-1]["accuracy"]["mean"] == table[-1]["auc"]["mean"] == 1.0


def test_the_figures_are_those_of_the_report_half_counted_by_hand(made: Made) -> None:
    from training.data_sets.data import open_data, tune_rows  # noqa: PLC0415 - beside its use

    val = open_data(made.folder / "val.npz")
    report = ~tune_rows(val.identity)
    split, trivial = made.document["split"], made.document["trivial"]
    assert (split["rows"], split["people"]) == (int(report.sum()), len(set(val.identity[report].tolist())))
    assert split["rows_tune"] == 80 - split["rows"]
    train = open_data(made.folder / "train.npz").attributes[:, [0, 3]]
    common = np.where((train > 0).sum(axis=0) > 48, 1, -1)
    expected = (val.attributes[report][:, [0, 3]] == common).mean()
    assert trivial["accuracy"] == pytest.approx(expected)
    assert trivial["from"] == "train"


def test_curves_start_from_the_row_of_the_boards_light(made: Made) -> None:
    motion, gain = made.document["curves"][3:]
    assert (motion["axis"], gain["axis"]) == ("motion_px", "gain")
    still = motion["lines"][0]["points"][0]
    row = made.document["table"][1]
    assert still["accuracy"] == pytest.approx(row["accuracy"]["mean"])
    assert still["auc"] == pytest.approx(row["auc"]["mean"])
    assert set(made.document["envelope"]["limits"]) == {each["axis"] for each in made.document["curves"]}


def test_presence_is_led_by_its_worst_kind(made: Made) -> None:
    presence = made.document["presence"]
    assert presence["worst"]["auc"] == min(each["auc"] for each in presence["kinds"] if each["counts"])


def test_the_long_runs_are_shown_as_they_are(made: Made) -> None:
    assert made.document["long_runs"][0]["name"] == "d16_accuracy"
    assert "<td>87.5</td>" in made.html


def test_another_val_file_or_results_file_is_refused(folder: Path) -> None:
    (folder / "other.json").write_text('{"figures": [{"name": "x"}]}')
    with pytest.raises(DataError, match=r"other\.json has figures without"):
        report_command.run(parsed(words_for(folder, "--results", str(folder / "other.json"))))
    (folder / "other.json").write_text("[]")
    with pytest.raises(DataError, match="holds no results"):
        report_command.run(parsed(words_for(folder, "--results", str(folder / "other.json"))))
    with pytest.raises(DataError, match="does not label Smiling, Wearing_Hat"):
        report_command.run(parsed(words_for(folder, "--val", str(folder / "none.npz"))))


@pytest.mark.parametrize(("module", "extra"), [("matplotlib", "report"), ("torch", "train")])
def test_a_missing_extra_is_named_before_anything_is_read(
    module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else real(name))
    with pytest.raises(ConfigError, match=rf"needs {module}.*lsi-host\[{extra}\]"):
        report_command.run(parsed(["absent.npz", "--val", "v", "--nonfaces-val", "n", "-o", "out"]))


@pytest.mark.parametrize("option", ["--baseline-epochs", "--baseline-seeds", "--threads"])
def test_numbers_out_of_range_are_refused(option: str) -> None:
    words = ["absent.npz", "--val", "v", "--nonfaces-val", "n", "-o", "out", option, "0"]
    with pytest.raises(ConfigError, match=f"{option} is 0"):
        report_command.run(parsed(words))
