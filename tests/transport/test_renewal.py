from pathlib import Path

import pytest

from lsi.errors import AppConfigError
from tests.transport.certificates import Authority
from transport.broker import TlsSettings
from transport.renewal import TlsChoice


@pytest.fixture
def files(tmp_path: Path) -> tuple[TlsSettings, TlsSettings]:
    """Old and new certificate of one device."""
    authority = Authority(tmp_path, "authority")
    old, new = authority.issue("old"), authority.issue("new")
    return (
        TlsSettings(authority.ca_file, old.cert_file, old.key_file),
        TlsSettings(authority.ca_file, new.cert_file, new.key_file),
    )


def test_without_tls_there_is_no_context() -> None:
    assert TlsChoice(None).next_context() is None


def test_new_files_are_used_next_and_kept_when_they_connect(files: tuple[TlsSettings, TlsSettings]) -> None:
    old, new = files
    choice = TlsChoice(old)
    before = choice.next_context()
    choice.offer(new)
    after = choice.next_context()
    assert after is not before
    renewal = choice.connected()
    assert renewal is not None
    assert renewal.is_accepted
    assert renewal.settings == new
    assert choice.next_context() is after
    assert choice.connected() is None


def test_an_offer_during_an_attempt_says_nothing_about_that_attempt(
    files: tuple[TlsSettings, TlsSettings],
) -> None:
    old, new = files
    choice = TlsChoice(old)
    choice.next_context()
    choice.offer(new)
    assert choice.connected() is None


def test_after_a_failure_the_old_ones_come_back_and_the_reason_is_told(
    files: tuple[TlsSettings, TlsSettings],
) -> None:
    old, new = files
    choice = TlsChoice(old)
    before = choice.next_context()
    choice.offer(new)
    choice.next_context()
    choice.failed("TLS: NO")
    assert choice.next_context() is before
    renewal = choice.connected()
    assert renewal is not None
    assert (renewal.is_accepted, renewal.reason) == (False, "TLS: NO")
    choice.failed("later")
    assert choice.next_context() is before


def test_while_neither_connects_they_take_turns(files: tuple[TlsSettings, TlsSettings]) -> None:
    old, new = files
    choice = TlsChoice(old)
    before = choice.next_context()
    choice.offer(new)
    after = choice.next_context()
    order = []
    for _ in range(4):
        choice.failed("down")
        order.append(choice.next_context())
    assert order == [before, after, before, after]


def test_files_that_cannot_be_used_change_nothing(
    files: tuple[TlsSettings, TlsSettings], tmp_path: Path
) -> None:
    choice = TlsChoice(files[0])
    before = choice.next_context()
    with pytest.raises(AppConfigError, match="cannot be used"):
        choice.offer(TlsSettings(tmp_path / "none.crt"))
    assert choice.next_context() is before
