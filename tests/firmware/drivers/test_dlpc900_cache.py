"""Encoded masks on disk: found again, never trusted blindly."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware.drivers import dlpc900
from firmware.drivers.dlpc900 import Dlpc900
from firmware.drivers.dlpc900_cache import EncodedCache, _packed, _parsed
from firmware.drivers.dlpc900_image import encode_masks
from firmware.drivers.mirror_field import MirrorField
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from lsi.errors import BoardConfigError
from lsi.placement import Placement
from tests.firmware.drivers.dlpc900_bench import EXPOSURE_NS, masks

NAME = "ab" * 32
IMAGES = [(b"left", b"right"), (b"", b"x" * 300)]

image_lists = st.integers(1, 2).flatmap(
    lambda parts: st.lists(st.tuples(*[st.binary(max_size=40)] * parts), min_size=1, max_size=5)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "masks"


def only_entry(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


class Loads:
    """Loads of one driver after another on one cache; counts how often masks were encoded."""

    def __init__(self, cache: EncodedCache, monkeypatch: pytest.MonkeyPatch) -> None:
        self._cache = cache
        self.encoded = 0

        def counted(bank: NDArray[np.bool_], field: MirrorField) -> list[tuple[bytes, ...]]:
            self.encoded += 1
            return encode_masks(bank, field)

        monkeypatch.setattr(dlpc900, "encode_masks", counted)

    def load(
        self, seed: int = 0, *, scale_px: int = 8, dmd: str = "DLP6500", placement: Placement | None = None
    ) -> SimDlpc900:
        clock = SimClock()
        chip = SimDlpc900(clock, dmd=dmd)
        driver = Dlpc900(
            chip, dmd, mirror_scale_px=scale_px, placement=placement or Placement(), cache=self._cache
        )
        driver.load(masks(3, seed=seed), EXPOSURE_NS)
        return chip


# Through the driver


def test_the_same_masks_are_encoded_once_and_shown_alike(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = Loads(EncodedCache(folder), monkeypatch)
    first, second = loads.load(), loads.load()
    assert loads.encoded == 1
    for k in range(3):
        assert (first.mirror_plane(k) == second.mirror_plane(k)).all()


def test_whatever_changes_the_mirrors_is_encoded_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = Loads(EncodedCache(folder), monkeypatch)
    loads.load()
    loads.load(seed=1)
    loads.load(scale_px=9)
    loads.load(dmd="DLP5500")
    loads.load(placement=Placement(shift_x_px=1.0))
    assert loads.encoded == 5


def test_another_version_of_the_encoder_finds_nothing_of_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = Loads(EncodedCache(folder), monkeypatch)
    loads.load()
    monkeypatch.setattr(dlpc900, "CODING_VERSION", 99)
    loads.load()
    assert loads.encoded == 2


@pytest.mark.parametrize("damage", [b"", b"LSIERLE1", None])
def test_a_damaged_entry_is_encoded_and_written_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    loads = Loads(EncodedCache(folder), monkeypatch)
    loads.load()
    good = only_entry(folder).read_bytes()
    only_entry(folder).write_bytes(good[:-40] + b"\x55" + good[-39:] if damage is None else damage)
    loads.load()
    assert loads.encoded == 2
    assert only_entry(folder).read_bytes() == good
    loads.load()
    assert loads.encoded == 2


# The directory


def test_the_directory_is_made_for_its_owner_alone(folder: Path) -> None:
    EncodedCache(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_may_write_to_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir(parents=True)
    folder.chmod(mode)
    with pytest.raises(BoardConfigError, match="choose the masks"):
        EncodedCache(folder)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BoardConfigError, match="cannot be used"):
        EncodedCache(tmp_path / "file" / "cache")


def test_a_disk_that_fails_costs_nothing_but_time(folder: Path) -> None:
    cache = EncodedCache(folder)
    folder.rmdir()
    cache.put(NAME, IMAGES)
    assert cache.get(NAME) is None


def test_the_oldest_entries_go_when_the_bound_is_reached(folder: Path) -> None:
    cache = EncodedCache(folder, max_bytes=2_500)
    for k in range(3):
        cache.put(f"{k:064x}", [(bytes(1_000),)])
        os.utime(folder / f"{k:064x}.erle", ns=(k, k))
    assert [cache.get(f"{k:064x}") is not None for k in range(3)] == [False, True, True]


def test_what_is_used_again_stays(folder: Path) -> None:
    cache = EncodedCache(folder, max_bytes=2_500)
    for k in range(2):
        cache.put(f"{k:064x}", [(bytes(1_000),)])
        os.utime(folder / f"{k:064x}.erle", ns=(k, k))
    cache.get(f"{0:064x}")
    cache.put(f"{2:064x}", [(bytes(1_000),)])
    assert [cache.get(f"{k:064x}") is not None for k in range(3)] == [True, False, True]


def test_more_than_the_bound_is_not_kept_and_an_overgrown_entry_not_read(folder: Path) -> None:
    cache = EncodedCache(folder, max_bytes=500)
    cache.put(NAME, [(bytes(501),)])
    assert list(folder.iterdir()) == []
    (folder / f"{NAME}.erle").write_bytes(_packed([(bytes(600),)]))
    assert cache.get(NAME) is None


def test_files_of_others_are_left_alone(folder: Path) -> None:
    cache = EncodedCache(folder, max_bytes=500)
    (folder / "letter.txt").write_bytes(bytes(10_000))
    cache.put(NAME, IMAGES)
    assert (folder / "letter.txt").exists()
    assert cache.get(NAME) == IMAGES


# The bytes


def test_an_entry_is_these_bytes() -> None:
    entry = _packed([(b"ab", b"c")])
    assert entry[:-32] == b"LSIERLE1" + bytes.fromhex("01 00 02 02 00 00 00 01 00 00 00") + b"abc"


@given(image_lists)
def test_entries_survive_a_round_trip(images: list[tuple[bytes, ...]]) -> None:
    assert _parsed(_packed(images)) == images


@given(image_lists, st.data())
def test_an_entry_with_one_wrong_bit_is_no_entry(
    images: list[tuple[bytes, ...]], data: st.DataObject
) -> None:
    entry = bytearray(_packed(images))
    at = data.draw(st.integers(0, len(entry) - 1))
    entry[at] ^= 1 << data.draw(st.integers(0, 7))
    assert _parsed(bytes(entry)) is None
