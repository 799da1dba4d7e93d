"""The ledger: written before, never reset by itself, closed where it cannot be trusted."""

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.disclosure.privacy_ledger import BEGUN_NAME, LEDGER_NAME, PrivacyLedger, Spent, renewed
from lsi.errors import LedgerError

ONE = Fraction(1)
WINDOW_MS = 900_000


def spend(state: Path, times: int = 1, boot: str = "boot-1", first_ms: int = WINDOW_MS) -> PrivacyLedger:
    ledger = PrivacyLedger(state, boot)
    for number in range(times):
        ledger.spend(ONE, WINDOW_MS, first_ms + number * WINDOW_MS)
    return ledger


def test_what_was_spent_is_there_after_a_restart(tmp_path: Path) -> None:
    spend(tmp_path, 3)
    ledger = spend(tmp_path, 2, first_ms=10 * WINDOW_MS)
    assert (ledger.spent.releases, ledger.spent.epsilon) == (5, 5.0)
    assert PrivacyLedger(tmp_path, "boot-2").spent == ledger.spent


def test_thousandths_add_up_exactly(tmp_path: Path) -> None:
    ledger = PrivacyLedger(tmp_path, "boot-1")
    for number in range(1, 11):
        ledger.spend(Fraction(1, 10), WINDOW_MS, number * WINDOW_MS)
    assert ledger.spent.spent_milli == 1000


def test_two_windows_of_one_boot_never_overlap_whoever_asks(tmp_path: Path) -> None:
    spend(tmp_path)
    for end_ms in (WINDOW_MS, 2 * WINDOW_MS - 1, 0):
        with pytest.raises(LedgerError, match="overlaps"):
            PrivacyLedger(tmp_path, "boot-1").spend(ONE, WINDOW_MS, end_ms)
    assert spend(tmp_path, first_ms=2 * WINDOW_MS).spent.releases == 2
    assert spend(tmp_path, boot="boot-2", first_ms=WINDOW_MS).spent.releases == 3


def test_a_ledger_that_is_gone_spends_nothing(tmp_path: Path) -> None:
    spend(tmp_path)
    (tmp_path / LEDGER_NAME).unlink()
    with pytest.raises(LedgerError, match="is gone"):
        PrivacyLedger(tmp_path, "boot-1")


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"\xff", b"[" * 5000, b" " * 9000])
def test_a_ledger_that_is_none_spends_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LEDGER_NAME).write_bytes(content)
    with pytest.raises(LedgerError, match=LEDGER_NAME):
        PrivacyLedger(tmp_path, "boot-1")


@given(st.integers(0, 2000), st.integers(1, 255))
def test_no_flipped_bit_is_overlooked(tmp_path_factory: pytest.TempPathFactory, at: int, bits: int) -> None:
    state = tmp_path_factory.mktemp("ledger")
    spend(state, 2)
    content = bytearray((state / LEDGER_NAME).read_bytes())
    content[at % len(content)] ^= bits
    (state / LEDGER_NAME).write_bytes(content)
    with pytest.raises(LedgerError):
        PrivacyLedger(state, "boot-1")


def test_a_smaller_number_by_hand_is_noticed(tmp_path: Path) -> None:
    spend(tmp_path, 5)
    document = json.loads((tmp_path / LEDGER_NAME).read_text())
    (tmp_path / LEDGER_NAME).write_text(json.dumps({**document, "releases": 0, "spent_milli": 0}))
    with pytest.raises(LedgerError, match="was changed"):
        PrivacyLedger(tmp_path, "boot-1")


def test_what_cannot_be_written_is_not_spent(tmp_path: Path) -> None:
    ledger = spend(tmp_path)
    (tmp_path / LEDGER_NAME).unlink()
    (tmp_path / LEDGER_NAME).mkdir()
    with pytest.raises(LedgerError, match="cannot be written"):
        ledger.spend(ONE, WINDOW_MS, 2 * WINDOW_MS)
    assert ledger.spent.releases == 1
    with pytest.raises(LedgerError, match="cannot be written"):
        PrivacyLedger(tmp_path / "gone", "boot-1").spend(ONE, WINDOW_MS, WINDOW_MS)


def test_a_new_ledger_goes_on_from_the_old_one_where_that_can_be_read(tmp_path: Path) -> None:
    spend(tmp_path, 3)
    assert renewed(tmp_path) == Spent(3, 3000)
    (tmp_path / LEDGER_NAME).write_bytes(b"")
    assert renewed(tmp_path) == Spent()
    assert PrivacyLedger(tmp_path, "boot-1").spent == Spent()


def test_its_files_are_for_the_owner_of_the_folder_alone(tmp_path: Path) -> None:
    spend(tmp_path)
    for name in (LEDGER_NAME, BEGUN_NAME):
        status = (tmp_path / name).stat()
        assert (status.st_mode & 0o077, status.st_uid) == (0, os.geteuid())
