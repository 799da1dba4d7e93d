"""``ProtocolChoice``: MQTT 5 first, 3.1.1 where the broker knows no other."""

from enum import Enum, auto
from typing import Final

from paho.mqtt.enums import MQTTProtocolVersion

V5: Final = MQTTProtocolVersion.MQTTv5
V311: Final = MQTTProtocolVersion.MQTTv311
PATIENCE: Final = 3
"""Unanswered attempts in a row before a version that once worked is doubted."""

_OTHER: Final = {V5: V311, V311: V5}
VERSION_NAME: Final = {V5: "MQTT 5", V311: "MQTT 3.1.1"}


class _Why(Enum):
    FIRST = auto()
    TOLD = auto()
    GUESSED = auto()


class ProtocolChoice:
    """Which version the next attempt speaks.

    A broker that refuses a version says so (0x84) or says nothing. Silence may also mean a
    broker that hangs, so a version chosen after silence is a guess that ends with its connection.
    """

    def __init__(self) -> None:
        self.current = V5
        self._why = _Why.FIRST
        self._worked: MQTTProtocolVersion | None = None
        self._unanswered = 0

    def refused(self) -> None:
        """The broker does not know this version."""
        self._switch(_Why.TOLD)

    def unanswered(self) -> bool:
        """No CONNACK came; returns whether every version has been tried."""
        self._unanswered += 1
        if self._worked is not self.current or self._unanswered >= PATIENCE:
            self._switch(_Why.GUESSED)
        return self._unanswered > 1

    def connected(self) -> None:
        """The version works."""
        self._worked = self.current
        self._unanswered = 0

    def lost(self) -> None:
        """A connection that had worked ended; a guess ends with it."""
        if self.current is V311 and self._why is _Why.GUESSED:
            self.current, self._why, self._worked = V5, _Why.FIRST, None

    def _switch(self, why: _Why) -> None:
        self.current = _OTHER[self.current]
        self._why = why
