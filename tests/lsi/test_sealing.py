"""Envelopes: only the host opens them, only the device makes them, and no bit of them can be changed."""

import secrets
from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.errors import SealError, SignatureMismatchError
from lsi.minisign import SecretKey
from lsi.sealing import (
    ITEM_BYTES,
    MAX_SEALED_BYTES,
    OVERHEAD_BYTES,
    check_sealer,
    open_envelope,
    parse_envelope,
    seal,
)
from tests.sealed import DEVICE_KEY, HOST, LATENT, OTHER_HOST, envelope, header

SEALED = envelope()
DOCUMENT: dict[str, Any] = cbor2.loads(SEALED)


def opened(encoded: bytes) -> bytes:
    return open_envelope(parse_envelope(encoded), HOST, DEVICE_KEY.public_key)


def spelled(**changes: Any) -> bytes:  # noqa: ANN401 - any CBOR
    return cbor2.dumps({**DOCUMENT, **changes}, canonical=True)


def test_what_was_sealed_is_opened_and_its_header_is_readable() -> None:
    assert opened(SEALED) == LATENT
    assert parse_envelope(SEALED).header == header()


@given(st.sampled_from(sorted(ITEM_BYTES)), st.integers(1, 18), st.integers(1, 64), st.integers(1, 2**53 - 1))
def test_every_latent_survives_the_trip(dtype: str, layers: int, width: int, seq: int) -> None:
    plaintext = secrets.token_bytes(layers * width * ITEM_BYTES[dtype])
    made = header(shape=(layers, width), dtype=dtype, seq=seq)
    encoded = seal(plaintext, made, HOST.public_key, DEVICE_KEY)
    assert opened(encoded) == plaintext
    assert parse_envelope(encoded).header == made


def test_two_envelopes_of_one_latent_share_no_ciphertext() -> None:
    first, second = (parse_envelope(envelope()).ciphertext for _ in range(2))
    assert first != second
    assert first[:32] != second[:32]


def test_the_largest_latent_of_the_paper_fits_and_costs_48_bytes() -> None:
    plaintext = bytes(18 * 512 * 2)
    encoded = seal(plaintext, header(shape=(18, 512)), HOST.public_key, DEVICE_KEY)
    assert len(parse_envelope(encoded).ciphertext) == len(plaintext) + OVERHEAD_BYTES
    assert len(encoded) < 20_000


def test_no_number_of_the_latent_is_in_the_envelope() -> None:
    values = np.random.default_rng(3).normal(size=(10, 128)).astype("<f2")
    encoded = seal(values.tobytes(), header(shape=(10, 128)), HOST.public_key, DEVICE_KEY)
    assert not any(each.tobytes() in encoded for each in values.reshape(-1, 4))


def test_another_host_cannot_open_it() -> None:
    parsed = parse_envelope(SEALED)
    with pytest.raises(SealError, match=HOST.public_key.kid):
        open_envelope(parsed, OTHER_HOST, DEVICE_KEY.public_key)
    claimed = seal(LATENT, header(kid=OTHER_HOST.public_key.kid), OTHER_HOST.public_key, DEVICE_KEY)
    stolen = cbor2.loads(claimed)
    stolen["ct"] = DOCUMENT["ct"]
    with pytest.raises(SignatureMismatchError):
        open_envelope(parse_envelope(cbor2.dumps(stolen, canonical=True)), OTHER_HOST, DEVICE_KEY.public_key)


def test_an_envelope_of_another_device_is_a_forgery() -> None:
    forged = seal(LATENT, header(), HOST.public_key, SecretKey.generate())
    with pytest.raises(SignatureMismatchError, match="was not made by the device"):
        opened(forged)


@given(st.integers(0, len(SEALED) - 1), st.integers(0, 7))
def test_no_flipped_bit_gets_through(at: int, bit: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= 1 << bit
    with pytest.raises((SealError, SignatureMismatchError)):
        opened(bytes(changed))


@given(st.integers(0, len(SEALED) - 1), st.integers(0, 7))
def test_the_guard_of_the_device_sees_a_flipped_bit_too(at: int, bit: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= 1 << bit
    with pytest.raises((SealError, SignatureMismatchError)):
        check_sealer(parse_envelope(bytes(changed)), DEVICE_KEY.public_key)


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 4},
        {"dev": "hall2"},
        {"stream": "fedcba9876543210"},
        {"ts": "2026-01-01T12:00:00.001Z"},
        {"clock": "unsynced"},
        {"bundle": "01234567"},
        {"kid": OTHER_HOST.public_key.kid},
        {"shape": [8, 2]},
        {"dtype": "float32", "shape": [1, 8]},
    ],
)
def test_a_changed_header_does_not_fit_even_when_it_is_signed_anew(changes: dict[str, Any]) -> None:
    """Who can sign but not seal cannot move a ciphertext to another place in the stream."""
    with pytest.raises(SignatureMismatchError):
        opened(spelled(**changes))
    from lsi.sealing import _COMMENT, _header_of, _signed  # noqa: PLC0415 - the signer's own steps

    document = {key: value for key, value in {**DOCUMENT, **changes}.items() if key not in {"ct", "sig"}}
    made = _header_of(document)
    signature = DEVICE_KEY.sign(_signed(made, DOCUMENT["ct"]), _COMMENT).signature
    with pytest.raises(SealError):
        opened(spelled(**changes, sig=signature))


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xff",
        b"{}",
        cbor2.dumps([]),
        cbor2.dumps({}),
        cbor2.dumps("x" * 100),
        SEALED + b"\0",
        SEALED[:-1],
        cbor2.dumps(dict(reversed(DOCUMENT.items()))),
        spelled(extra=1),
        spelled(v="lsi.latent/2"),
        spelled(suite="none"),
        spelled(seq=0),
        spelled(seq=True),
        spelled(seq=1.0),
        spelled(dev="hall 1"),
        spelled(stream="x" * 16),
        spelled(shape=[2]),
        spelled(shape=[0, 8]),
        spelled(shape="28"),
        spelled(dtype="object"),
        spelled(ct=b""),
        spelled(ct="text"),
        spelled(sig=b"short"),
        bytes(MAX_SEALED_BYTES + 1),
        b"\x9f" * 5000,
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        cbor2.dumps(cbor2.CBORTag(258, [1, 2])),
    ],
)
def test_what_is_no_envelope_is_refused(encoded: bytes) -> None:
    with pytest.raises(SealError):
        parse_envelope(encoded)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_envelope_or_are_refused(encoded: bytes) -> None:
    with pytest.raises(SealError):
        parse_envelope(encoded)


@given(
    st.dictionaries(
        st.sampled_from(sorted(DOCUMENT)),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.binary(max_size=80)
        | st.text(max_size=20),
        min_size=1,
    )
)
def test_any_value_in_any_place_is_refused(changes: dict[str, Any]) -> None:
    if all(DOCUMENT[key] == value and type(DOCUMENT[key]) is type(value) for key, value in changes.items()):
        return
    with pytest.raises((SealError, SignatureMismatchError)):
        opened(spelled(**changes))


def test_what_does_not_fit_its_header_is_not_sealed() -> None:
    for plaintext, made in ((LATENT + b"x", header()), (LATENT, header(kid="0" * 16))):
        with pytest.raises(SealError, match="does not fit"):
            seal(plaintext, made, HOST.public_key, DEVICE_KEY)
    with pytest.raises(SealError, match="at most"):
        seal(bytes(64 * 1024), header(shape=(32, 1024)), HOST.public_key, DEVICE_KEY)


def test_no_repr_shows_what_is_inside() -> None:
    shown = repr(parse_envelope(SEALED)) + repr(HOST) + repr(HOST.public_key)
    assert HOST.secret.hex() not in shown
    assert repr(DOCUMENT["ct"]) not in shown
