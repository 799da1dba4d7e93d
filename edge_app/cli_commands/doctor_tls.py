"""``lsi-edge doctor tls``: what the broker presents, whether each side takes the other, and why not.

Nothing is published and no MQTT session is opened, so a running service notices nothing.
"""

import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from edge_app.cli_commands.doctor import Finding, Verdict
from edge_app.provision.certificates import (
    WARN_BEFORE,
    Expectation,
    common_names,
    expires,
    faults,
    public_bytes,
    read_certificates,
    read_key,
)
from lsi.errors import LsiError
from transport.broker import BrokerAddress, TlsSettings
from transport.tls import DATE_THEIRS, explain

CONNECT_S: Final = 5.0
VERDICT_S: Final = 1.0
"""A refusal of our certificate comes after the handshake of TLS 1.3; a broker that is silent waits for us."""

_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h."""
_DATE_CODES: Final = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""

_CLOCK_FIX: Final = "timedatectl shows why; a Raspberry Pi needs a time server (NTP) that it can reach."


@dataclass(frozen=True, slots=True)
class Presented:
    """One certificate that the broker sent."""

    subject: str
    issuer: str
    begins: str
    expires: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "Presented":
        """That of a certificate."""
        return cls(
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            expires(certificate),
            tuple(_names(certificate)),
        )


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The chain that the broker presented, its certificate first, and what was found."""

    broker: str
    chain: tuple[Presented, ...]
    findings: tuple[Finding, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether the service can connect."""
        return all(finding.verdict is not Verdict.PROBLEM for finding in self.findings)


def diagnose_tls(address: BrokerAddress, device_id: str, now: dt.datetime | None) -> Diagnosis:
    """Connect to the broker and say what fails.

    Args:
        address: The broker, as configured.
        device_id: What the common name of our certificate must be.
        now: The time of day; ``None`` while the clock is not synchronised. Then no date is judged.
    """
    if address.tls is None:
        off = Finding("tls", Verdict.WARNING, "TLS is off; the broker is on this machine.")
        return Diagnosis(str(address), (), (off,))
    findings = [_clock(now), *_ours(address.tls, device_id, now)]
    reach = _reach(address)
    findings.append(reach)
    if reach.verdict is not Verdict.OK:
        return Diagnosis(str(address), (), tuple(findings))
    chain = presented_chain(address)
    findings += _handshake(address, address.tls, now, chain)
    return Diagnosis(str(address), tuple(Presented.of(found) for found in chain), tuple(findings))


def presented_chain(address: BrokerAddress) -> tuple[x509.Certificate, ...]:
    """What the broker presents to a stranger, unverified; empty when it presents nothing.

    The handshake verifies nothing and shows no certificate of ours; nothing is sent over it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    name = address.tls.server_name if address.tls is not None else None
    with contextlib.suppress(OSError, ValueError), _connected(address) as plain:
        wrapped = context.wrap_socket(
            plain, server_hostname=name or address.host, do_handshake_on_connect=False
        )
        with wrapped:
            # A broker of TLS 1.2 that wants a certificate ends this after it has shown its own.
            with contextlib.suppress(OSError):
                wrapped.do_handshake()
            return _chain_of(wrapped)
    return ()


def _chain_of(wrapped: ssl.SSLSocket) -> tuple[x509.Certificate, ...]:
    # Public from Python 3.13; before, only the object below has it.
    source = wrapped if hasattr(wrapped, "get_unverified_chain") else wrapped._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    chain = source.get_unverified_chain() or ()
    as_der = (
        item if isinstance(item, bytes) else ssl.PEM_cert_to_DER_cert(item.public_bytes()) for item in chain
    )
    return tuple(x509.load_der_x509_certificate(der) for der in as_der)


def _clock(now: dt.datetime | None) -> Finding:
    if now is None:
        found = "not synchronised: no date of a certificate is judged"
        return Finding("clock", Verdict.WARNING, found, _CLOCK_FIX)
    return Finding("clock", Verdict.OK, f"synchronised, {now:%Y-%m-%dT%H:%M:%SZ}")


def _ours(tls: TlsSettings, device_id: str, now: dt.datetime | None) -> Iterator[Finding]:
    """Our own files, before anything is sent."""
    try:
        tls.context()
        if tls.cert_file is None or tls.key_file is None:
            yield Finding("our certificate", Verdict.WARNING, "none is configured", "lsi-edge provision")
            return
        chain = read_certificates(tls.cert_file)
        key = public_bytes(read_key(tls.key_file).public_key())
        authorities = None if tls.ca_file is None else read_certificates(tls.ca_file)
    except LsiError as error:
        yield Finding("our certificate", Verdict.PROBLEM, error.found, error.hint)
        return
    found = faults(chain, Expectation(device_id, key, authorities, now))
    for fault in found:
        yield Finding("our certificate", Verdict.PROBLEM, fault.found, fault.fix)
    if not found:
        yield _our_end(chain[0], now)


def _our_end(certificate: x509.Certificate, now: dt.datetime | None) -> Finding:
    said = f"{', '.join(common_names(certificate))}, valid until {expires(certificate)}"
    if now is not None and certificate.not_valid_after_utc - now < WARN_BEFORE:
        return Finding("our certificate", Verdict.WARNING, said, "lsi-edge provision --renew")
    return Finding("our certificate", Verdict.OK, said)


def _reach(address: BrokerAddress) -> Finding:
    try:
        with _connected(address):
            return Finding("connection", Verdict.OK, f"{address.host}:{address.port} answers")
    except OSError as cause:
        found = f"{address.host}:{address.port} does not answer ({cause.strerror or cause})"
        return Finding(
            "connection", Verdict.PROBLEM, found, "check host, port, network, and that the broker runs."
        )


def _handshake(
    address: BrokerAddress, tls: TlsSettings, now: dt.datetime | None, chain: Sequence[x509.Certificate]
) -> Iterator[Finding]:
    try:
        context = tls.context()
    except LsiError:
        return  # said among our own files
    error = _error_of(address, context)
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _DATE_CODES and now is None:
        found = f"{error.verify_message}, by a clock that is not synchronised: the service cannot connect yet"
        yield Finding("broker", Verdict.PROBLEM, found, _CLOCK_FIX)
        context.verify_flags |= _NO_CHECK_TIME
        error = _error_of(address, context)
        if error is None:
            yield Finding("without dates", Verdict.OK, "everything else is right")
            return
    yield _judge(error, address, tls, chain)
    if error is None and now is not None and chain and chain[0].not_valid_after_utc - now < WARN_BEFORE:
        yield Finding("broker's end", Verdict.WARNING, f"valid until {expires(chain[0])}", "renew it there.")


def _judge(
    error: OSError | None, address: BrokerAddress, tls: TlsSettings, chain: Sequence[x509.Certificate]
) -> Finding:
    if error is None:
        return Finding("broker", Verdict.OK, f"trusted, and takes us as {_our_name(tls)}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return _their_fault(error, address, tls, chain)
    if isinstance(error, ssl.SSLError):
        fault = explain(error)
        return Finding("broker", Verdict.PROBLEM, fault.reason, fault.advice)
    found = f"the broker ended the connection during TLS ({error.strerror or error})"
    return Finding("broker", Verdict.PROBLEM, found, "a port on which the broker speaks TLS; its log.")


def _their_fault(
    error: ssl.SSLCertVerificationError,
    address: BrokerAddress,
    tls: TlsSettings,
    chain: Sequence[x509.Certificate],
) -> Finding:
    fault = explain(error)
    found = error.verify_message
    if error.verify_code in _DATE_CODES:
        return Finding("broker", Verdict.PROBLEM, found, DATE_THEIRS)
    if chain:
        trusted = "the system's" if tls.ca_file is None else str(tls.ca_file)
        names = ", ".join(_names(chain[0])) or "none"
        wanted = tls.server_name or address.host
        found = f"{found} (asked for {wanted}, its names: {names}; trusted: {trusted})"
    return Finding("broker", Verdict.PROBLEM, found, fault.advice)


def _our_name(tls: TlsSettings) -> str:
    if tls.cert_file is None:
        return "a client without certificate"
    return ", ".join(common_names(read_certificates(tls.cert_file)[0]))


def _error_of(address: BrokerAddress, context: ssl.SSLContext) -> OSError | None:
    """Why the broker and we do not take each other; ``None`` when we do."""
    try:
        with (
            _connected(address) as plain,
            context.wrap_socket(plain, server_hostname=address.host) as wrapped,
        ):
            wrapped.settimeout(VERDICT_S)
            with contextlib.suppress(TimeoutError):
                if not wrapped.recv(1):
                    return ConnectionError(0, "closed without a word")
    except OSError as error:
        return error
    return None


@contextlib.contextmanager
def _connected(address: BrokerAddress) -> Iterator[socket.socket]:
    with socket.create_connection((address.host, address.port), timeout=CONNECT_S) as plain:
        yield plain


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return [*names.get_values_for_type(x509.DNSName), *addresses]
