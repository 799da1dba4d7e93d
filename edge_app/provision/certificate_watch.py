"""``CertificateWatch``: a new certificate is tried by the link, and put in place once it connects."""

import datetime as dt
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge_app.provision.certificates import read_bounded
from edge_app.provision.provisioning import DeviceIdentity, commit, complete, stage
from lsi.errors import ConfigError, LsiError
from transport.broker import TlsSettings
from transport.renewal import Renewal

logger = logging.getLogger(__name__)

RETRY_S: Final = 3600.0
"""A refusal may have been the broker's bad hour, or ours without a clock."""
SUFFIXES: Final = frozenset({".crt", ".pem"})


def pending_certificate(folder: Path) -> Path | None:
    """The newest ``.crt`` or ``.pem`` file in ``folder``; hidden ones are being written and do not count."""
    try:
        found = [
            (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
            for entry in folder.iterdir()
            if entry.suffix in SUFFIXES and not entry.name.startswith(".") and not entry.is_symlink()
        ]
    except OSError:
        return None
    return folder / max(found)[1] if found else None


class CertificateWatch:
    """Asked now and then; ``settled`` may be called from any thread, the rest from one.

    Args:
        identity: The device; its ``incoming`` folder is watched.
        now_utc: The time of day, ``None`` while the clock is not synchronised.
        now_s: A clock that never jumps.
        retry_s: After so long a refused certificate is tried again, changed or not.
    """

    def __init__(
        self,
        identity: DeviceIdentity,
        now_utc: Callable[[], dt.datetime | None],
        now_s: Callable[[], float] = time.monotonic,
        retry_s: float = RETRY_S,
    ) -> None:
        self._identity = identity
        self._now_utc = now_utc
        self._now_s = now_s
        self._retry_s = retry_s
        self._offered: tuple[TlsSettings, Path, bytes] | None = None
        self._renewal: Renewal | None = None
        self._judged = b""
        self._judged_s = 0.0
        self._expires = identity.expires
        self.refusal: str | None = None

    @property
    def expires(self) -> str | None:
        """When the certificate in place ends, RFC 3339 UTC; ``health`` says it as ``certificate.expires``."""
        return self._expires

    def poll(self) -> TlsSettings | None:
        """Look into the folder.

        Returns:
            What the link should try now (``replace_tls`` and ``reconnect``), once per certificate.
        """
        try:
            self._settle()
            return None if self._offered is not None else self._next_offer()
        except LsiError as error:
            self._refuse(str(error))
            return None

    def settled(self, renewal: Renewal) -> None:
        """How the link's try ended; drawn upon at the next :meth:`poll`, since this must not block."""
        self._renewal = renewal

    def _settle(self) -> None:
        if complete(self._identity):
            self._expires = self._identity.expires
        renewal, self._renewal = self._renewal, None
        if self._offered is None or renewal is None or renewal.settings != self._offered[0]:
            return
        _, path, content = self._offered
        self._offered = None
        if not renewal.is_accepted:
            self._refuse(f"The broker does not take it ({renewal.reason}).")
            return
        self.refusal = None
        commit(self._identity)
        _forget(path, content)
        self._expires = self._identity.expires
        logger.info("A new certificate is in place, valid until %s.", self._expires)

    def _next_offer(self) -> TlsSettings | None:
        path = pending_certificate(self._identity.incoming)
        if path is None:
            self.refusal = None
            return None
        try:
            content = read_bounded(path)
        except OSError as cause:
            found = f"{path} cannot be read ({cause.strerror})."
            raise ConfigError(found, hint="a PEM file that the service's user may read.") from cause
        digest = hashlib.sha256(bytes(path) + b"\0" + content).digest()
        if digest == self._judged and self._now_s() - self._judged_s < self._retry_s:
            return None
        self._judged, self._judged_s = digest, self._now_s()
        if self._identity.is_in_place(content):
            _forget(path, content)
            return None
        settings = stage(self._identity, content, self._now_utc())
        self._offered = settings, path, content
        return settings

    def _refuse(self, reason: str) -> None:
        if reason != self.refusal:
            logger.warning("The certificate in %s is not used. %s", self._identity.incoming, reason)
        self.refusal = reason


def _forget(path: Path, content: bytes) -> None:
    """Remove what was taken, unless another has come in its place."""
    try:
        if read_bounded(path) == content:
            path.unlink()
    except OSError as cause:
        logger.warning("%s cannot be removed (%s).", path, cause.strerror)
