"""The device's client certificate: request, reading, and what must hold before it is used."""

import datetime as dt
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    PrivateKeyTypes,
    PublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lsi.credentials import forbidden_mode
from lsi.errors import CertificateError, KeyFileError

MAX_PEM_BYTES: Final = 65_536
MAX_PATH: Final = 6
"""Longest way from a certificate to its authority; real ones take two or three steps."""
WARN_BEFORE: Final = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason against a certificate, and what to do about it."""

    found: str
    fix: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a client certificate is held against.

    ``public_key`` is that of the device. ``authorities`` are those one of which must have signed,
    ``None`` where nobody knows them. ``now`` is ``None`` while the clock is not synchronised: then no
    date is judged.
    """

    device_id: str
    public_key: bytes
    authorities: tuple[x509.Certificate, ...] | None
    now: dt.datetime | None


def new_key() -> bytes:
    """A new EC P-256 private key, PEM (PKCS 8) without a password."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_key(path: Path) -> PrivateKeyTypes:
    """The private key in the PEM file ``path``.

    Raises:
        KeyFileError: Not readable, open to others, with a password, or no key.
    """
    try:
        content = read_bounded(path, forbidden=forbidden_mode(path))
        return load_pem_private_key(content, None)
    except PermissionError as cause:
        raise KeyFileError(
            f"Private key {path}: {cause.strerror}.", hint=f"chmod 600 {path}, and its owner."
        ) from cause
    except OSError as cause:
        found = f"Private key {path} cannot be read ({cause.strerror})."
        raise KeyFileError(found, hint="lsi-edge provision makes one.") from cause
    except (ValueError, TypeError, UnsupportedAlgorithm) as cause:
        # What the library says of a key that it cannot read could hold parts of it.
        raise KeyFileError(f"{path} is no private key without a password.", hint="a PEM file.") from cause


def public_bytes(key: PublicKeyTypes) -> bytes:
    """A public key as DER, to be compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signing_request(key: CertificateIssuerPrivateKeyTypes, device_id: str) -> bytes:
    """A certificate signing request (PEM) with the common name ``device_id``."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device_id)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, in its order: the device's, then those on the way to its authority.

    Raises:
        CertificateError: Not readable, too long, or no certificate in it.
    """
    try:
        content = read_bounded(path)
    except OSError as cause:
        found = f"Certificate {path} cannot be read ({cause.strerror})."
        raise CertificateError(found, hint="the path of a PEM file.") from cause
    return parse_certificates(content, str(path))


def parse_certificates(content: bytes, source: str) -> tuple[x509.Certificate, ...]:
    """The certificates of PEM text.

    Raises:
        CertificateError: None in it, or one that cannot be read.
    """
    try:
        certificates = tuple(x509.load_pem_x509_certificates(content))
        for certificate in certificates:
            # Both are read only when asked for; a broken one must be refused here.
            _ = certificate.extensions, certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as cause:
        found = f"{source} holds no certificate that can be read."
        raise CertificateError(found, hint="PEM: it begins with -----BEGIN CERTIFICATE-----.") from cause
    return certificates


def faults(chain: Sequence[x509.Certificate], expected: Expectation) -> tuple[Fault, ...]:
    """Everything that speaks against the client certificate ``chain[0]``; empty when it may be used."""
    leaf = chain[0]
    found = [*_owner_faults(leaf, expected), *_usage_faults(leaf)]
    path = _path(chain, expected.authorities)
    if path is None:
        issuer = leaf.issuer.rfc4514_string()
        fix = "let the authority of ca_file sign; one in between belongs below the device's in the file."
        found.append(Fault(f"No authority of ca_file signed it; its issuer is {issuer}.", fix))
    if expected.now is not None:
        found += _date_faults(path or (leaf,), expected.now)
    return tuple(found)


def expires(certificate: x509.Certificate) -> str:
    """When ``certificate`` ends: RFC 3339 UTC, to the second."""
    return certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def common_names(certificate: x509.Certificate) -> list[str]:
    """The common names of the subject; one, where all is well."""
    return [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def read_bounded(path: Path, forbidden: int = 0) -> bytes:
    """The content of a small regular file; no link is followed.

    Args:
        path: The file.
        forbidden: Mode bits that it must not have.

    Raises:
        OSError: Not readable, a link, not a plain file, too long, or a forbidden mode
            (``PermissionError``).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "not a plain file")
        if status.st_mode & forbidden:
            raise PermissionError(0, f"open to others, mode {stat.S_IMODE(status.st_mode):04o}")
        content = file.read(MAX_PEM_BYTES + 1)
    if len(content) > MAX_PEM_BYTES:
        raise OSError(0, f"longer than {MAX_PEM_BYTES} bytes")
    return content


def _owner_faults(leaf: x509.Certificate, expected: Expectation) -> Iterator[Fault]:
    if public_bytes(leaf.public_key()) != expected.public_key:
        yield Fault("It belongs to another key.", "sign the request that this device made last.")
    names = common_names(leaf)
    if names != [expected.device_id]:
        said = ", ".join(names) or "missing"
        yield Fault(
            f"Its common name is {said}, not {expected.device_id}.", "a subject of exactly CN=device id."
        )


def _usage_faults(leaf: x509.Certificate) -> Iterator[Fault]:
    if _is_authority(leaf):
        yield Fault("It is an authority's, not a device's.", "basicConstraints = CA:FALSE when signing.")
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        is_for_clients = ExtendedKeyUsageOID.CLIENT_AUTH in usages
    except x509.ExtensionNotFound:
        # Without the extension it would also pass for a broker's.
        is_for_clients = False
    if not is_for_clients:
        yield Fault("It is not for clients.", "extendedKeyUsage = clientAuth when signing.")
    try:
        signs = leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        signs = True
    if not signs:
        yield Fault("Its key may not sign.", "keyUsage = digitalSignature when signing.")


def _date_faults(path: Sequence[x509.Certificate], now: dt.datetime) -> Iterator[Fault]:
    for certificate in path:
        name = certificate.subject.rfc4514_string()
        if now < certificate.not_valid_before_utc:
            begin = certificate.not_valid_before_utc.isoformat()
            yield Fault(f"{name} is not valid before {begin}.", "wait, or check the authority's clock.")
        if now > certificate.not_valid_after_utc:
            yield Fault(f"{name} expired at {expires(certificate)}.", "a new certificate.")


def _path(
    chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate] | None
) -> tuple[x509.Certificate, ...] | None:
    """The way from ``chain[0]`` to one of ``authorities``; ``None`` when there is none."""
    if authorities is None:
        return tuple(chain)
    path = [chain[0]]
    while len(path) <= MAX_PATH:
        anchor = next((found for found in authorities if _has_signed(found, path[-1])), None)
        if anchor is not None:
            return (*path, anchor)
        between = next(
            (found for found in chain[1:] if found not in path and _has_signed(found, path[-1])), None
        )
        if between is None:
            return None
        path.append(between)
    return None


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return _is_authority(issuer)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
