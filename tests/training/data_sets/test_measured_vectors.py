"""Files of measured vectors: whole, private, and refused when damaged."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsi.errors import DataError
from tests.training.bench_vectors import measured, start
from training.data_sets.measured_vectors import MeasuredVectors, is_open_to_others, load_vectors, save_vectors

VECTORS = measured(start(), 12)


def same(one: MeasuredVectors, two: MeasuredVectors) -> bool:
    arrays = ("measurements", "attributes", "identity", "rows")
    return (
        all(np.array_equal(getattr(one, name), getattr(two, name)) for name in arrays)
        and (one.attribute_names, one.bench) == (two.attribute_names, two.bench)
        and dict(one.dropped) == dict(two.dropped)
    )


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("vectors") / "v.npz"
    save_vectors(VECTORS, path)
    return path.read_bytes()


def test_vectors_survive_the_round_trip_with_their_bench(tmp_path: Path) -> None:
    save_vectors(VECTORS, tmp_path / "v.npz")
    assert same(load_vectors(tmp_path / "v.npz"), VECTORS)


def test_a_file_without_any_vector_is_a_file(tmp_path: Path) -> None:
    empty = VECTORS.chosen(np.empty(0, np.int64))
    save_vectors(empty, tmp_path / "v.npz")
    assert len(load_vectors(tmp_path / "v.npz")) == 0


def test_nobody_else_may_read_the_file_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_vectors(VECTORS, tmp_path / "v.npz")
    finally:
        os.umask(before)
    assert (tmp_path / "v.npz").stat().st_mode & 0o777 == 0o600
    assert not is_open_to_others(tmp_path / "v.npz")


def test_a_folder_that_others_may_enter_is_seen(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert not is_open_to_others(tmp_path)
    tmp_path.chmod(0o711)
    assert is_open_to_others(tmp_path)


def test_the_content_is_private_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []

    def spied(file: object, **_: object) -> None:
        modes.append(os.fstat(file.fileno()).st_mode & 0o777)  # type: ignore[attr-defined]  # an open file

    monkeypatch.setattr(np, "savez", spied)
    save_vectors(VECTORS, tmp_path / "v.npz")
    assert modes == [0o600]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_vectors(VECTORS, tmp_path / "v.npz")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(DataError, match="No space left"):
        save_vectors(VECTORS.chosen(np.arange(2)), tmp_path / "v.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["v.npz"]
    assert same(load_vectors(tmp_path / "v.npz"), VECTORS)


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= 1 << bit
    path = tmp_path_factory.mktemp("damaged") / "v.npz"
    path.write_bytes(damaged)
    try:
        found = load_vectors(path)
    except DataError:
        return
    assert same(found, VECTORS)


@settings(max_examples=30)
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_cut_off_file_is_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, part: float
) -> None:
    path = tmp_path_factory.mktemp("cut") / "v.npz"
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match="lsi lab record"):
        load_vectors(path)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", meta=np.array([print], object), allow_pickle=True)
    with pytest.raises(DataError, match="no measured vectors"):
        load_vectors(tmp_path / "v.npz")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz"):
        load_vectors(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"attributes": np.full((12, 2), 2, np.int8)},
        {"measurements": np.full((12, 6), np.nan, np.float32)},
        {"rows": np.zeros(12, np.int64)},
        {"dropped": {"LowLightError": (3,)}},
        {"attribute_names": ("Smiling", "Smiling")},
        {"identity": np.arange(11)},
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        replace(VECTORS, **changes)  # type: ignore[arg-type]  # any field


def test_a_representation_shows_no_value() -> None:
    assert repr(VECTORS) == "MeasuredVectors(rows=12, d=6, attributes=2)"


def test_rows_that_were_dropped_count_as_done() -> None:
    assert VECTORS.done == frozenset(range(14))
