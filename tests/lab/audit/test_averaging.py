from dataclasses import replace
from pathlib import Path

import pytest

from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.audit.averaging import averaged
from lab.audit.bench import Bench, set_up
from lab.bundles import shipped_bundle
from lsi.bundle import read_bundle
from lsi.errors import DataError
from tests.lab.audit.crowd import faces_file

BUNDLE = read_bundle(shipped_bundle("attr-lite-4-0.2.0.lsib"))
BOARD = find_board(SIMULATED_BOARD)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("data")
    data, learn = faces_file(folder / "d.npz", 24, 2), faces_file(folder / "l.npz", 12, 2, seed=5)
    return set_up(BUNDLE, BOARD, data, learn, 100, lambda _: lambda _done, _total: None)


def test_every_part_of_the_bench_is_of_the_same_people_and_pictures(bench: Bench) -> None:
    assert len(bench.parts.learn) == len(bench.learn_faces) == 24
    assert len(bench.parts.tune) == len(bench.tune_faces)
    assert len(bench.parts.report) == len(bench.report_pictures) == len(bench.report_rows)
    assert len(bench.parts.tune) + len(bench.parts.report) == 48
    assert (bench.data.identity[bench.report_rows] == bench.parts.report.identity).all()
    assert not set(bench.parts.tune.identity) & set(bench.parts.report.identity)
    assert bench.document()["dropped"] == 0


def test_one_row_per_number_of_messages(bench: Bench) -> None:
    rows = averaged(bench, (1, 3))
    assert [row["messages"] for row in rows] == [1, 3]
    assert all(0.4 < row["auc"] <= 1 for row in rows)


def test_a_bundle_that_answers_nothing_of_the_default_mode_has_nothing_to_average(bench: Bench) -> None:
    assert averaged(replace(bench, bundle=replace(BUNDLE, allowed=frozenset()))) == []


def test_in_the_dark_nothing_can_be_audited(tmp_path: Path) -> None:
    dark = replace(BOARD, sensor=replace(BOARD.sensor, power_nw=1e-4))
    data = faces_file(tmp_path / "d.npz", 24, 2)
    with pytest.raises(DataError, match="Every scan was dropped"):
        set_up(BUNDLE, dark, data, data, 100, lambda _: lambda _done, _total: None)


def test_a_file_without_the_attributes_of_the_bundle_is_refused(tmp_path: Path) -> None:
    data = faces_file(tmp_path / "d.npz", 24, 2)
    strange = replace(BUNDLE, allowed=BUNDLE.allowed | {"Bald"})
    with pytest.raises(DataError, match="does not label Bald"):
        set_up(strange, BOARD, data, None, 100, lambda _: lambda _done, _total: None)
