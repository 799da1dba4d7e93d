"""Key files of the host: whole, private, and named by what they hold."""

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.errors import KeyFileError
from lsi.host_keys import (
    HostPublicKey,
    HostSecretKey,
    read_host_public_key,
    read_host_secret_key,
    write_host_key,
)

TODAY = dt.date(2026, 1, 1)
KEY = HostSecretKey.generate(TODAY)


def test_both_halves_are_read_back_and_the_secret_one_is_private(tmp_path: Path) -> None:
    secret, public = write_host_key(KEY, tmp_path / "host")
    assert read_host_secret_key(secret) == KEY
    assert read_host_public_key(public) == KEY.public_key
    assert secret.stat().st_mode & 0o777 == 0o600
    assert KEY.secret.hex() not in public.read_text()


def test_a_key_lives_for_ninety_days() -> None:
    assert KEY.public_key.expires == dt.date(2026, 4, 1)


def test_two_keys_share_no_name_and_a_key_is_never_overwritten(tmp_path: Path) -> None:
    assert HostSecretKey.generate(TODAY).public_key.kid != KEY.public_key.kid
    write_host_key(KEY, tmp_path / "host")
    with pytest.raises(KeyFileError, match="never overwritten"):
        write_host_key(KEY, tmp_path / "host")


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret, _ = write_host_key(KEY, tmp_path / "host")
    secret.chmod(0o640)
    with pytest.raises(KeyFileError, match="open to others"):
        read_host_secret_key(secret)


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "0" * 16},
        {"v": "lsi.host-key/2"},
        {"created": "soon"},
        {"created": 7},
        {"key": "AAAA"},
        {"key": "not base64!"},
        {"key": None},
        {"more": 1},
    ],
)
def test_a_file_that_is_no_key_is_refused_without_a_word_of_it(
    tmp_path: Path, change: dict[str, object]
) -> None:
    for path, read in zip(
        write_host_key(KEY, tmp_path / "host"), (read_host_secret_key, read_host_public_key), strict=True
    ):
        document = json.loads(path.read_text())
        path.write_text(json.dumps({**document, **change}))
        with pytest.raises(KeyFileError, match="no key of a host") as caught:
            read(path)
        assert document["key"] not in str(caught.value)
        assert caught.value.__cause__ is None or read is read_host_public_key


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("keys") / "host.pub"
    path.write_bytes(content)
    with pytest.raises(KeyFileError):
        read_host_public_key(path)


def test_a_key_of_another_length_is_none() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        HostPublicKey(bytes(31), TODAY)
