"""``TlsChoice``: new certificates are tried while the old ones are kept."""

import ssl
from dataclasses import dataclass

from transport.broker import TlsSettings


@dataclass(frozen=True, slots=True)
class Renewal:
    """How a change of certificates ended. ``reason`` says why the new ones were not accepted."""

    settings: TlsSettings
    is_accepted: bool
    reason: str = ""


@dataclass(slots=True)
class _Candidate:
    settings: TlsSettings
    context: ssl.SSLContext
    fault: str = ""


class TlsChoice:
    """Which TLS files the next attempt uses; may be offered new ones from any thread.

    After a failure of the new files the old ones are tried, then the new ones again, turn by
    turn: whichever connects first is kept. So a broker that is ill at the wrong moment
    decides nothing.
    """

    def __init__(self, settings: TlsSettings | None) -> None:
        self._context: ssl.SSLContext | None = None if settings is None else settings.context()
        self._offered: _Candidate | None = None
        self._candidate: _Candidate | None = None
        self._is_candidates_turn = False

    def offer(self, settings: TlsSettings) -> None:
        """Try ``settings`` at the next attempt; an earlier offer that has not connected is dropped.

        Raises:
            AppConfigError: The files cannot be used; nothing changes.
        """
        self._offered = _Candidate(settings, settings.context())

    def next_context(self) -> ssl.SSLContext | None:
        """The context of the next attempt; ``None`` without TLS."""
        offered, self._offered = self._offered, None
        if offered is not None:
            self._candidate = offered
            self._is_candidates_turn = True
        if self._candidate is not None and self._is_candidates_turn:
            return self._candidate.context
        return self._context

    def failed(self, reason: str) -> None:
        """The last attempt failed in a way that certificates can cause."""
        if self._candidate is None:
            return
        if self._is_candidates_turn:
            self._candidate.fault = reason
        self._is_candidates_turn = not self._is_candidates_turn

    def connected(self) -> Renewal | None:
        """The last attempt connected; tells how a change ended, once."""
        candidate = self._candidate
        if candidate is None:
            return None
        self._candidate = None
        if self._is_candidates_turn:
            self._context = candidate.context
            return Renewal(candidate.settings, is_accepted=True)
        return Renewal(candidate.settings, is_accepted=False, reason=candidate.fault)
