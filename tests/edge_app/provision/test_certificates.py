import datetime as dt
import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from edge_app.provision.certificates import (
    MAX_PEM_BYTES,
    Expectation,
    expires,
    faults,
    new_key,
    parse_certificates,
    public_bytes,
    read_bounded,
    read_certificates,
    read_key,
    signing_request,
)
from lsi.errors import ConfigError, KeyFileError
from lsi.topics import DEVICE_ID
from tests.edge_app.provision.authorities import HOUR, NOW, SERVER, Signer, Wish

KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = Signer("root")
BETWEEN = Signer("between", ROOT)
EXPECTED = Expectation("hall1", public_bytes(KEY.public_key()), (ROOT.certificate,), NOW)


def found(wish: Wish, expected: Expectation = EXPECTED, signer: Signer = ROOT) -> list[str]:
    chain = [signer.sign(KEY.public_key(), wish)]
    return [fault.found for fault in faults(chain, expected)]


def test_a_certificate_as_it_should_be_has_no_fault() -> None:
    assert found(Wish()) == []


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(("door2",)), "Its common name is door2, not hall1."),
        (Wish(("hall1", "door2")), "Its common name is hall1, door2, not hall1."),
        (Wish(()), "Its common name is missing, not hall1."),
        (Wish(usages=SERVER), "It is not for clients."),
        (Wish(usages=None), "It is not for clients."),
        (Wish(signs=False), "Its key may not sign."),
        (Wish(begins=NOW + HOUR), "CN=hall1 is not valid before"),
        (Wish(begins=NOW - 2 * HOUR, ends=NOW - HOUR), "CN=hall1 expired at"),
    ],
)
def test_each_thing_that_is_wrong_is_said(wish: Wish, said: str) -> None:
    (fault,) = found(wish)
    assert fault.startswith(said)


def test_an_authoritys_certificate_is_no_devices() -> None:
    assert "It is an authority's, not a device's." in found(Wish(is_authority=True))


def test_everything_that_is_wrong_is_said_at_once_and_each_with_a_way_out() -> None:
    other = replace(EXPECTED, public_key=b"another", authorities=(BETWEEN.certificate,))
    chain = [ROOT.sign(KEY.public_key(), Wish(("door2",), SERVER, ends=NOW - HOUR / 2))]
    listed = faults(chain, other)
    assert len(listed) == 5
    assert all(fault.fix for fault in listed)


def test_no_date_is_judged_while_the_clock_is_not_synchronised() -> None:
    unsynced = replace(EXPECTED, now=None)
    assert found(Wish(begins=NOW + HOUR), unsynced) == []
    assert found(Wish(begins=NOW - 2 * HOUR, ends=NOW - HOUR), unsynced) == []


def test_an_authority_that_has_expired_counts_too() -> None:
    late = replace(EXPECTED, now=NOW + dt.timedelta(days=4000))
    said = found(Wish(ends=NOW + dt.timedelta(days=5000)), late)
    assert [fault.split(" at ")[0] for fault in said] == ["CN=root expired"]


@pytest.mark.parametrize(
    ("chain", "is_found"), [((BETWEEN,), True), ((), False), ((Signer("other"),), False)]
)
def test_certificates_in_between_lead_to_the_authority_or_do_not(
    chain: tuple[Signer, ...], is_found: bool
) -> None:
    leaf = BETWEEN.sign(KEY.public_key(), Wish())
    listed = faults([leaf, *(signer.certificate for signer in chain)], EXPECTED)
    assert (listed == ()) is is_found
    assert is_found or listed[0].found == "No authority of ca_file signed it; its issuer is CN=between."


def test_a_device_signs_for_nobody() -> None:
    device = ec.generate_private_key(ec.SECP256R1())
    clients = ROOT.sign(device.public_key(), Wish(("door2",)))
    forger = Signer("door2")
    forger.key = device
    leaf = forger.sign(KEY.public_key(), Wish())
    assert [fault.found[:12] for fault in faults([leaf, clients], EXPECTED)] == ["No authority"]


def test_where_the_systems_authorities_are_trusted_the_signer_is_left_to_the_broker() -> None:
    assert found(Wish(), replace(EXPECTED, authorities=None), Signer("anybody")) == []


@given(st.from_regex(DEVICE_ID, fullmatch=True))
def test_a_request_names_the_device_and_proves_the_key(device_id: str) -> None:
    request = x509.load_pem_x509_csr(signing_request(KEY, device_id))
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == f"CN={device_id}"
    assert public_bytes(request.public_key()) == EXPECTED.public_key


def test_a_new_key_is_p_256_and_never_the_same() -> None:
    key = load_pem_private_key(new_key(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert new_key() != new_key()


def test_expiry_is_told_in_utc() -> None:
    leaf = ROOT.sign(KEY.public_key(), Wish(ends=dt.datetime(2027, 11, 23, 1, 2, 3, tzinfo=dt.UTC)))
    assert expires(leaf) == "2027-11-23T01:02:03Z"


def test_a_file_may_hold_the_whole_way(tmp_path: Path) -> None:
    path = tmp_path / "chain.crt"
    path.write_bytes(BETWEEN.sign(KEY.public_key(), Wish()).public_bytes(Encoding.PEM) + BETWEEN.pem)
    assert [one.subject.rfc4514_string() for one in read_certificates(path)] == ["CN=hall1", "CN=between"]


@given(st.binary(max_size=300), st.integers(0, 400))
def test_broken_text_is_refused_and_nothing_else_happens(noise: bytes, at: int) -> None:
    with pytest.raises(ConfigError, match="holds no certificate"):
        parse_certificates(ROOT.pem[:at] + noise, "x")


@pytest.mark.parametrize("kind", ["missing", "link", "folder", "pipe", "long"])
def test_only_a_small_plain_file_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.crt"
    if kind == "link":
        (tmp_path / "y.crt").write_bytes(ROOT.pem)
        path.symlink_to("y.crt")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "long":
        path.write_bytes(bytes(MAX_PEM_BYTES + 1))
    with pytest.raises(OSError):  # noqa: PT011 - each system says it in its own words
        read_bounded(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_certificates(path)


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (new_key(), 0o640, "mode 0640"),
        (b"secret words", 0o600, "no private key"),
        (None, 0, "cannot be read"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_without_its_content(
    tmp_path: Path, content: bytes | None, mode: int, said: str
) -> None:
    path = tmp_path / "device.key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(KeyFileError, match=said) as refused:
        read_key(path)
    assert "secret" not in str(refused.value)
    assert "BEGIN" not in str(refused.value)
