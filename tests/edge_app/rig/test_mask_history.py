"""Distinct masks over the life of a device."""

from pathlib import Path

import numpy as np
import pytest

from edge_app.rig.device_rig import device_rig
from edge_app.rig.mask_history import HISTORY_NAME, MaskHistory
from firmware.boards.board import find_board
from lsi.errors import DisclosureError
from lsi.patterns import PatternSet
from tests.bundles import small_patterns

BOARD = find_board("sim-mcp3208")


def masks(seed: int, count: int) -> PatternSet:
    return PatternSet(np.random.default_rng(seed).random((count, 8, 8)) < 0.5)


def test_each_mask_counts_once_for_ever(tmp_path: Path) -> None:
    first = MaskHistory(tmp_path)
    first.note(masks(1, 16))
    first.note(masks(1, 16))
    assert first.count == 16
    again = MaskHistory(tmp_path)
    again.note(masks(2, 4))
    again.note(PatternSet(np.concatenate([masks(1, 16).masks[:3], masks(3, 2).masks])))
    assert again.count == MaskHistory(tmp_path).count == 22


def test_the_same_bits_on_another_grid_are_another_mask(tmp_path: Path) -> None:
    history = MaskHistory(tmp_path)
    bits = masks(1, 1).masks
    history.note(PatternSet(bits))
    history.note(PatternSet(bits.reshape(1, 4, 16)))
    assert history.count == 2


def test_masks_are_counted_before_the_controller_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with device_rig(BOARD, tmp_path) as rig:
        monkeypatch.setattr(type(rig.parts.modulator), "load", lambda *_: pytest.fail("the cable is out"))
        with pytest.raises(BaseException, match="the cable is out"):
            rig.load(small_patterns())
    assert MaskHistory(tmp_path).count == 3


def test_a_bundle_that_is_loaded_again_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with device_rig(BOARD, tmp_path) as rig:
            rig.load(small_patterns())
    assert MaskHistory(tmp_path).count == 3
    assert (tmp_path / HISTORY_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"1234567", b"87654321" + b"12345678", b"12345678" * 2, b"123456789"])
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / HISTORY_NAME).write_bytes(content)
    with pytest.raises(DisclosureError, match=HISTORY_NAME):
        MaskHistory(tmp_path)


def test_a_disk_that_fails_stops_no_sensor(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    history = MaskHistory(tmp_path)
    (tmp_path / HISTORY_NAME).mkdir()
    history.note(masks(1, 5))
    assert history.count == 5
    assert "was not written" in caplog.text
    gone = MaskHistory(tmp_path / "gone")
    gone.note(masks(1, 5))
    assert gone.count == 5
