"""The recorder of labelled vectors, on the simulated board."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firmware.boards.board import SIMULATED_BOARD, find_board
from lab import lab_command, record_command
from lab import record as module
from lab.bench_rig import with_power
from lab.bundles import shipped_bundle
from lab.record import Session, record
from lab.rig_faults import RigFault
from lsi.bundle import read_bundle
from lsi.errors import ConfigError, DataError
from tests.training.scenes import write_faces, write_textures
from training.data_sets.data import open_data
from training.data_sets.measured_vectors import load_vectors

ROWS = 8
BUNDLE = read_bundle(shipped_bundle())


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces") / "faces.npz", ROWS, 1)


@pytest.fixture
def session(faces: Path, tmp_path: Path) -> Session:
    return Session(
        bundle=BUNDLE,
        board=find_board(SIMULATED_BOARD),
        fault=RigFault(),
        data=open_data(faces),
        part="all",
        rows=range(ROWS),
        output=tmp_path / "vectors.npz",
    )


def silent(done: int, total: int) -> None:
    """No progress."""


def stopping_after(rows: int, error: BaseException) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done == rows:
            raise error

    return progress


def ratios(session: Session) -> np.ndarray:
    signs = np.where(BUNDLE.patterns.masks, 1.0, -1.0).reshape(len(BUNDLE.patterns), -1)
    fields = np.stack([session.data.field(row).reshape(-1) for row in range(ROWS)]).astype(np.float64)
    found: np.ndarray = fields @ signs.T / fields.sum(axis=1, keepdims=True)
    return found


def test_every_picture_becomes_a_vector_with_its_labels(session: Session) -> None:
    found = record(session, silent)
    data, names = session.data, BUNDLE.attributes.names
    columns = [data.attribute_names.index(name) for name in names]
    assert np.allclose(found.measurements, ratios(session), atol=0.01)
    assert np.array_equal(found.attributes, data.attributes[:, columns])
    assert found.attribute_names == names
    assert np.array_equal(found.identity, data.identity)
    assert found.rows.tolist() == list(range(ROWS))
    assert found.bench.pattern_digest == BUNDLE.patterns.digest
    assert found.bench.content_id == BUNDLE.manifest.content_id
    assert found.bench.sensor == session.board.sensor
    assert load_vectors(session.output).bench == found.bench


def test_an_interrupted_recording_is_valid_and_goes_on_without_loss(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS_ROWS", 1)
    with pytest.raises(KeyboardInterrupt):
        record(session, stopping_after(3, KeyboardInterrupt()))
    begun = load_vectors(session.output)
    assert begun.rows.tolist() == [0, 1, 2]
    shown: list[tuple[int, int]] = []
    found = record(session, lambda done, total: shown.append((done, total)))
    assert shown[0] == (4, ROWS)
    assert shown[-1] == (ROWS, ROWS)
    assert np.array_equal(found.measurements[:3], begun.measurements)
    assert np.allclose(found.measurements, ratios(session), atol=0.01)


def test_a_power_cut_loses_what_came_after_the_last_save_and_no_more(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_ROWS", 2)
    monkeypatch.setattr(module, "PROGRESS_ROWS", 1)
    on_disk: list[int] = []
    record(session, lambda done, _: on_disk.append(done - len(load_vectors(session.output))))
    assert max(on_disk) < 2
    assert on_disk[0] == 1


def test_a_complete_recording_is_not_measured_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = record(session, silent)
    monkeypatch.setattr(module, "_opened", lambda *_: pytest.fail("the board was opened"))
    assert np.array_equal(record(session, silent).measurements, found.measurements)


def test_what_another_recording_wrote_is_left_alone(session: Session) -> None:
    record(replace(session, rows=range(1)), silent)
    before = session.output.read_bytes()
    for other in (
        replace(session, board=with_power(session.board, 50.0)),
        replace(session, fault=RigFault(shift_px=1)),
        replace(session, part="tune"),
    ):
        with pytest.raises(ConfigError, match="another recording"):
            record(other, silent)
    assert session.output.read_bytes() == before


def test_scans_that_fail_are_dropped_with_their_reason(session: Session) -> None:
    found = record(replace(session, board=with_power(session.board, 0.001)), silent)
    assert len(found) == 0
    assert found.dropped == {"LowLightError": tuple(range(ROWS))}
    assert load_vectors(session.output).dropped == found.dropped


def test_a_picture_that_cannot_be_read_is_dropped_and_the_others_keep_their_labels(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = type(session.data).field

    def field(data: object, row: int) -> np.ndarray:
        if row == 2:
            raise DataError("cut off.")
        return whole(data, row)  # type: ignore[arg-type]  # the same object

    monkeypatch.setattr(type(session.data), "field", field)
    found = record(session, silent)
    assert found.dropped == {"DataError": (2,)}
    assert found.rows.tolist() == [0, 1, 3, 4, 5, 6, 7]
    monkeypatch.undo()
    assert np.allclose(found.measurements, np.delete(ratios(session), 2, axis=0), atol=0.01)


def test_a_folder_that_is_not_there_is_known_before_the_first_scan(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_opened", lambda *_: pytest.fail("the board was opened"))
    with pytest.raises(DataError, match="cannot be written"):
        record(replace(session, output=session.output.parent / "absent" / "v.npz"), silent)


def test_data_without_labels_is_refused(session: Session, tmp_path: Path) -> None:
    textures = open_data(write_textures(tmp_path / "t.npz", 2, 1))
    with pytest.raises(DataError, match="does not label"):
        record(replace(session, data=textures), silent)


def words(faces: Path, output: Path, *more: str) -> list[str]:
    board = ["--board", SIMULATED_BOARD]
    return [str(shipped_bundle()), "--data", str(faces), *board, "-o", str(output), *more]


def run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    record_command.add_arguments(parser)
    return record_command.run(parser.parse_args(arguments))


def test_the_command_warns_loudly_and_writes_a_private_file(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o755)
    assert run(words(faces, tmp_path / "v.npz", "--limit", "2", "--fault", "shift_px=1.5")) == 0
    shown = capsys.readouterr()
    assert "IMAGE-EQUIVALENT" in shown.err
    assert "others may enter" in shown.err
    assert "2 vectors" in shown.out
    assert "made wrong: shift_px 1.5" in shown.out
    assert (tmp_path / "v.npz").stat().st_mode & 0o777 == 0o600
    assert dict(load_vectors(tmp_path / "v.npz").bench.faults) == {"shift_px": 1.5}


def test_the_help_warns_too() -> None:
    parser = argparse.ArgumentParser()
    record_command.add_arguments(parser)
    shown = parser.format_help()
    assert "IMAGE-EQUIVALENT" in shown
    assert shown.rstrip().endswith("-o bench/vectors.npz")


def test_an_interruption_says_how_to_go_on(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "PROGRESS_ROWS", 1)
    monkeypatch.setattr(record_command, "tell", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run(words(faces, tmp_path / "v.npz"))
    assert "the same command goes on" in capsys.readouterr().err
    assert len(load_vectors(tmp_path / "v.npz")) == 1


@pytest.mark.parametrize("more", [("--limit", "0"), ("--fault", "tilt=1")])
def test_arguments_out_of_range_are_refused(faces: Path, tmp_path: Path, more: tuple[str, str]) -> None:
    with pytest.raises(ConfigError):
        run(words(faces, tmp_path / "v.npz", *more))
    assert not list(tmp_path.iterdir())


def test_the_lab_is_a_group_of_lsi() -> None:
    parser = argparse.ArgumentParser()
    lab_command.add_arguments(parser)
    with pytest.raises(DataError, match="absent"):
        lab_command.run(parser.parse_args(["record", *words(Path("absent.npz"), Path("v.npz"))]))
