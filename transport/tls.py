"""The TLS of a link: a context that knows another server name, and errors in plain words."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RENEW_OURS: Final = "renew the certificate of this machine; check that the broker's clock is right."
TRUST_OURS: Final = "cert_file and key_file of a certificate that the broker's authority signed."
TRUST_THEIRS: Final = "ca_file with the authority that signed the broker's certificate."
NAME_THEIRS: Final = "the name in the broker's certificate as host or as server_name."
DATE_THEIRS: Final = "renew the broker's certificate; check that the clock of this machine is right."
VERSION: Final = "a broker that speaks TLS 1.2 or newer on this port."
OTHER: Final = "check host, port and certificates."

# X509_V_ERR_... of OpenSSL's x509_vfy.h.
_BY_VERIFY_CODE: Final = {
    9: DATE_THEIRS,  # not yet valid
    10: DATE_THEIRS,  # has expired
    18: TRUST_THEIRS,  # self-signed
    19: TRUST_THEIRS,  # self-signed in chain
    20: TRUST_THEIRS,  # issuer not found
    21: TRUST_THEIRS,  # first certificate not verified
    62: NAME_THEIRS,  # host name
    64: NAME_THEIRS,  # IP address
}
_BY_REASON: Final = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": TRUST_OURS,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": TRUST_OURS,
    "TLSV1_ALERT_UNKNOWN_CA": TRUST_OURS,
    "SSLV3_ALERT_BAD_CERTIFICATE": TRUST_OURS,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": TRUST_OURS,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": RENEW_OURS,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": RENEW_OURS,
    "TLSV1_ALERT_PROTOCOL_VERSION": VERSION,
    "UNSUPPORTED_PROTOCOL": VERSION,
    "WRONG_VERSION_NUMBER": VERSION,
}


@dataclass(frozen=True, slots=True)
class TlsFault:
    """Why a handshake failed, and what to try."""

    reason: str
    advice: str


def explain(error: ssl.SSLError) -> TlsFault:
    """OpenSSL's reason, with the failed check or the broker's alert, in words."""
    reason: str = getattr(error, "reason", None) or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = _BY_VERIFY_CODE.get(error.verify_code, OTHER)
        return TlsFault(f"TLS: {reason}, {error.verify_message}", advice)
    return TlsFault(f"TLS: {reason}", _BY_REASON.get(reason, OTHER))


class LinkSocket(ssl.SSLSocket):
    """Closes itself after a failed handshake and remembers the alert that ended it.

    In TLS 1.3 a broker judges a client's certificate after the client's handshake, so the
    refusal comes with the first read.
    """

    fault: ssl.SSLError | None = None

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - signature of ssl
        """Like the parent's; nobody else closes the socket when it fails."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Like the parent's; a fatal TLS error is kept in ``fault``."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.fault = error
            raise


class LinkContext(ssl.SSLContext):
    """Verifies chain and name, TLS 1.2 or newer; ``server_name`` replaces the host in both checks.

    What is checked does not depend on the Python version (3.13 adds stricter rules to its default
    context, which refuse many a home-made authority), and no environment variable makes it write keys.
    """

    server_name: str | None = None

    def wrap_socket(  # noqa: PLR0913, PLR0917 - signature of ssl
        self,
        sock: socket.socket,
        server_side: bool = False,  # noqa: FBT001, FBT002 - signature of ssl
        do_handshake_on_connect: bool = True,  # noqa: FBT001, FBT002 - signature of ssl
        suppress_ragged_eofs: bool = True,  # noqa: FBT001, FBT002 - signature of ssl
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """Like the parent's, under ``server_name`` where there is one."""
        return super().wrap_socket(
            sock,
            server_side,
            do_handshake_on_connect,
            suppress_ragged_eofs,
            self.server_name or server_hostname,
            session,
        )


def client_context(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None, server_name: str | None
) -> LinkContext:
    """A context for one client; ``ca_file`` is ``None`` for the system's store.

    Raises:
        OSError: A file is missing or is not what it should be (``ssl.SSLError`` included).
    """
    context = LinkContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = LinkSocket
    context.server_name = server_name
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(ca_file)
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file, _no_passphrase)
    return context


def _no_passphrase() -> str:
    # Without this OpenSSL asks on the terminal, where a service waits for ever.
    return ""
