"""Authorities of a test's own, whose certificates can be wrong in one way at a time."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Wish:
    """What a certificate says; a client's that is good from an hour ago to sixty days on."""

    names: tuple[str, ...] = ("hall1",)
    usages: Sequence[ObjectIdentifier] | None = CLIENT
    signs: bool = True
    is_authority: bool = False
    begins: dt.datetime = NOW - HOUR
    ends: dt.datetime = NOW + 1440 * HOUR
    address: str | None = None


BROKER = Wish(("broker",), SERVER, address="127.0.0.1")


class Signer:
    """An authority; ``parent`` signs it where it is not its own root."""

    def __init__(self, name: str, parent: "Signer | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = parent or self
        wish = Wish((name,), None, is_authority=True, ends=NOW + 87600 * HOUR)
        self.certificate = signer.sign(self.key.public_key(), wish)
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def sign(self, key: CertificatePublicKeyTypes, wish: Wish) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in wish.names])
        builder = (
            x509.CertificateBuilder(
                self.name, subject, key, x509.random_serial_number(), wish.begins, wish.ends
            )
            .add_extension(x509.BasicConstraints(ca=wish.is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(_usage(wish), critical=True)
        )
        if wish.usages is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(wish.usages), critical=False)
        if wish.address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(wish.address))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def answer(self, request_file: Path, wish: Wish | None = None) -> bytes:
        """The certificate (PEM) for a signing request; by default under the name that it asks for."""
        request = x509.load_pem_x509_csr(request_file.read_bytes())
        asked = tuple(str(name.value) for name in request.subject)
        signed = self.sign(request.public_key(), wish or replace(Wish(), names=asked))
        return signed.public_bytes(Encoding.PEM)

    def issue(self, folder: Path, stem: str, wish: Wish) -> None:
        """``stem.crt`` and ``stem.key`` in ``folder``, with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        (folder / f"{stem}.crt").write_bytes(self.sign(key.public_key(), wish).public_bytes(Encoding.PEM))
        path = folder / f"{stem}.key"
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _usage(wish: Wish) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=wish.signs and not wish.is_authority,
        key_cert_sign=wish.is_authority,
        crl_sign=wish.is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not wish.is_authority,
        encipher_only=False,
        decipher_only=False,
    )
