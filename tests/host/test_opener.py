"""The host's side of a sealed latent: known devices, known keys, each record once."""

from pathlib import Path

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.cli import main
from host.opener import Opener, ReplayGuard
from lsi.errors import SealError, SignatureMismatchError, UntrustedKeyError
from lsi.host_keys import write_host_key
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey
from lsi.sealing import seal
from tests.sealed import DEVICE_KEY, HOST, LATENT, OTHER_HOST, envelope, header


def opener() -> Opener:
    return Opener([OTHER_HOST, HOST], {"hall1": DEVICE_KEY.public_key})


def test_an_envelope_becomes_numbers() -> None:
    opened = opener().open(envelope(), "hall1")
    assert opened.values.tobytes() == np.frombuffer(LATENT, "<f2").astype(np.float32).tobytes()
    assert opened.values.shape == opened.header.shape == (2, 8)


def test_the_same_envelope_again_is_refused_and_so_is_another_one_of_the_same_key() -> None:
    opening = opener()
    opening.open(envelope())
    for again in (envelope(), envelope(ts="2026-01-01T12:00:01.000Z")):
        with pytest.raises(SealError, match="here again"):
            opening.open(again)


def test_an_envelope_on_the_topic_of_another_device_is_refused() -> None:
    with pytest.raises(SealError, match="on the topic of hall2"):
        opener().open(envelope(), "hall2")


def test_a_device_or_a_key_that_is_not_known_is_named() -> None:
    with pytest.raises(UntrustedKeyError, match="hall2"):
        opener().open(envelope(device_id="hall2"))
    with pytest.raises(SealError, match=HOST.public_key.kid):
        Opener([OTHER_HOST], {"hall1": DEVICE_KEY.public_key}).open(envelope())


def test_a_forged_envelope_does_not_use_up_the_key_of_a_genuine_one() -> None:
    opening = opener()
    with pytest.raises(SignatureMismatchError):
        opening.open(seal(LATENT, header(), HOST.public_key, SecretKey.generate()))
    changed = cbor2.loads(envelope())
    changed["seq"] = 4
    with pytest.raises(SignatureMismatchError):
        opening.open(cbor2.dumps(changed, canonical=True))
    assert opening.open(envelope()).header.seq == 3


@given(st.lists(st.integers(1, 40), max_size=60))
def test_each_key_is_admitted_once_and_never_from_behind_the_window(seqs: list[int]) -> None:
    guard, admitted, highest = ReplayGuard(window=10), list[int](), 0
    for seq in seqs:
        is_new = seq not in admitted and seq > highest - 10
        try:
            guard.admit(header(seq=seq))
        except SealError:
            assert not is_new
        else:
            assert is_new
            admitted.append(seq)
            highest = max(highest, seq)


def test_streams_do_not_disturb_each_other_and_memory_is_bounded() -> None:
    guard = ReplayGuard(streams=3)
    for number in range(5):
        guard.admit(header(stream=f"{number:016x}"))
    with pytest.raises(SealError):
        guard.admit(header(stream=f"{4:016x}"))
    assert len(guard._streams) == 3


def test_the_commands_make_a_key_open_a_file_and_keep_what_is_inside_private(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "new", str(tmp_path / "new")]) == 0
    assert main(["keys", "show", str(tmp_path / "new.pub")]) == 0
    assert "sealed to until" in capsys.readouterr().out
    write_host_key(HOST, tmp_path / "host")
    write_key_pair(DEVICE_KEY, tmp_path / "hall1")
    (tmp_path / "a.sealed").write_bytes(envelope())
    (tmp_path / "b.sealed").write_bytes(envelope(seq=4)[:-1])
    options = ["--key", str(tmp_path / "host.key"), "--device", f"hall1={tmp_path / 'hall1.pub'}"]
    out = tmp_path / "latents.npz"
    files = [str(tmp_path / "a.sealed"), str(tmp_path / "b.sealed"), str(tmp_path / "gone.sealed")]
    assert main(["open", *files, *options, "--out", str(out)]) == 44
    printed = capsys.readouterr()
    assert "hall1 0123456789abcdef #3" in printed.out
    assert "b.sealed: A latent payload is not CBOR" in printed.err
    assert "gone.sealed cannot be read" in printed.err
    assert out.stat().st_mode & 0o777 == 0o600
    with np.load(out) as written:
        assert written["latents"].shape == (1, 2, 8)


@pytest.mark.parametrize("device", ["hall1", "=x", "HALL=x"])
def test_a_device_without_a_key_is_refused(tmp_path: Path, device: str) -> None:
    write_host_key(HOST, tmp_path / "host")
    arguments = ["open", "x.sealed", "--key", str(tmp_path / "host.key"), "--device", device]
    assert main(arguments) == 3
