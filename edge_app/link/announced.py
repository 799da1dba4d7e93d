"""What this device has announced to Home Assistant, and the steps that take it back.

Leaving an entity out of a later message does not remove it, and Home Assistant answers nothing.
So a file remembers what was announced. Removal follows what was found to work on core 2025.4 and
2026.2: announce *with* the entity, name nothing but its platform, announce without it; a device
is announced and then emptied. It works only while Home Assistant runs, and on what it has heard
since its own start, so a removal is repeated until it was made after Home Assistant's birth.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from edge_app.link.home_assistant import Component, Discovery, encode_discovery
from lsi.errors import ConfigError
from lsi.schema import check
from lsi.whole_file import whole_file
from transport.broker import Message

logger = logging.getLogger(__name__)

MANIFEST_NAME: Final = "announced.json"
MANIFEST_MODE: Final = 0o600
MANIFEST_ID: Final = "lsi.announced/1"
MAX_MANIFEST_BYTES: Final = 1 << 20
MAX_GONE: Final = 8
"""Former names of a device whose removal is still owed; older ones are given up."""

SETTLE_S: Final = 2.0
"""Core needs this long between an announcement and what refers to it."""
SPACING_S: Final = 5.0
"""Between two different announcements: core that still loads its platforms loses the second one."""

Documents = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a series; ``delay_s`` is counted from the step before."""

    delay_s: float
    topic: str
    payload: bytes
    retain: bool = True

    @property
    def announces(self) -> bool:
        """Whether it announces something, rather than clearing a topic."""
        return bool(self.payload)

    @property
    def message(self) -> Message:
        """The step as a message of QoS 1."""
        return Message(self.topic, self.payload, 1, self.retain)

    def __repr__(self) -> str:
        return f"Step(+{self.delay_s:g} s, {self.topic}, {len(self.payload)} bytes)"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was announced, and which removals are still owed.

    ``leaving`` are components of ``current`` that have to go, ``gone`` whole devices (documents by
    topic). ``retained`` are topics of ours that hold a message at the broker, ``stale`` those
    of them that are to be emptied.
    """

    current: Discovery | None = None
    leaving: Mapping[str, Component] = field(default_factory=dict)
    gone: Documents = field(default_factory=dict)
    retained: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()

    def announcing(self, wanted: Discovery | None, retained: frozenset[str]) -> "Manifest":
        """The manifest once ``wanted`` is announced and ``retained`` are the topics in use.

        A component must keep its platform for as long as it keeps its key.
        """
        known = dict(self.gone)
        if self.current is not None:
            known[self.current.topic] = self._with_leaving(self.current)
        former = {} if wanted is None else known.pop(wanted.topic, {}).get("cmps", {})
        kept = set() if wanted is None else set(wanted.components)
        return Manifest(
            current=wanted,
            leaving={key: component for key, component in former.items() if key not in kept},
            gone=dict(list(known.items())[-MAX_GONE:]),
            retained=retained,
            stale=(self.stale | self.retained) - retained,
        )

    def announcement(self) -> tuple[Step, ...]:
        """The message that announces ``current``, if anything is announced."""
        return () if self.current is None else (Step(0.0, self.current.topic, self.current.payload),)

    def series(self) -> tuple[Step, ...]:
        """The messages that announce ``current`` and work off what is owed, in order."""
        return (
            *self._entity_removal(),
            *_removals(self.gone, first_delay_s=0.0 if self.current is None else SPACING_S),
            *(Step(0.0, topic, b"") for topic in sorted(self.stale)),
        )

    def removal(self, retained: frozenset[str]) -> tuple[Step, ...]:
        """The messages that remove everything: devices, then ``retained`` and topics listed here."""
        topics = sorted(self.retained | self.stale | retained)
        return (
            *_removals(self.removed().gone, first_delay_s=0.0),
            *(Step(0.0, topic, b"") for topic in topics),
        )

    def removed(self) -> "Manifest":
        """The manifest after :meth:`removal`: nothing is announced, and removals may be repeated."""
        devices = dict(self.gone)
        if self.current is not None:
            devices[self.current.topic] = self._with_leaving(self.current)
        return Manifest(gone=devices)

    def _entity_removal(self) -> Iterator[Step]:
        """The announcement alone where no component has to go."""
        if self.current is None or not self.leaving:
            yield from self.announcement()
            return
        bare = {key: {"p": component["p"]} for key, component in self.leaving.items()}
        topic = self.current.topic
        yield Step(0.0, topic, encode_discovery(self._with_leaving(self.current)))
        yield Step(_REMOVAL_S, topic, encode_discovery(_with(self.current.document, bare)))
        yield Step(_REMOVAL_S, topic, self.current.payload)

    def _with_leaving(self, current: Discovery) -> dict[str, Any]:
        return _with(current.document, self.leaving)


_REMOVAL_S: Final = max(SETTLE_S, SPACING_S)
"""The three announcements of a removal differ, so they keep the longer distance."""


def read_manifest(path: Path) -> Manifest:
    """The manifest at ``path``; an empty one where there is no file.

    Raises:
        ConfigError: A file that cannot be read or is no manifest.
    """
    try:
        with path.open("rb") as file:
            encoded = file.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        return Manifest()
    except OSError as cause:
        raise ConfigError(
            f"{path} cannot be read ({cause.strerror}).", hint="the user of the service."
        ) from cause
    try:
        return _decoded(encoded)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as cause:
        found = f"{path} is no record of what was announced."
        raise ConfigError(found, hint=f"remove it, and in Home Assistant the device: rm {path}") from cause


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write ``path`` in one step, readable by its owner alone.

    Raises:
        OSError: The disk is full or the folder is not ours.
    """
    current = manifest.current
    document = {
        "v": MANIFEST_ID,
        "current": None if current is None else {"topic": current.topic, "document": dict(current.document)},
        "leaving": dict(manifest.leaving),
        "gone": {topic: dict(each) for topic, each in manifest.gone.items()},
        "retained": sorted(manifest.retained),
        "stale": sorted(manifest.stale),
    }
    with whole_file(path) as file:
        os.fchmod(file.fileno(), MANIFEST_MODE)
        file.write(json.dumps(document, separators=(",", ":")).encode())


class Announced:
    """The manifest of this device and its file. A disk that fails is logged and never stops a sensor."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._manifest = self._read()

    @property
    def manifest(self) -> Manifest:
        """What was announced."""
        return self._manifest

    def announce(self, wanted: Discovery | None, retained: frozenset[str]) -> tuple[Step, ...]:
        """Write down that ``wanted`` is announced from now on; ``None`` for nothing.

        The file is written before anything is sent, so that a crash forgets no removal.

        Returns:
            What to send.
        """
        self._write(self._manifest.announcing(wanted, retained))
        return self._manifest.series()

    def sent(self, *, after_birth: bool) -> None:
        """A series was sent to its end; ``after_birth``: and Home Assistant was there from its first step."""
        manifest = replace(self._manifest, stale=frozenset())
        self._write(replace(manifest, leaving={}, gone={}) if after_birth else manifest)

    def _read(self) -> Manifest:
        try:
            return read_manifest(self._path)
        except ConfigError as error:
            logger.warning(
                "%s Entities that are no longer announced may stay. Try: %s", error.found, error.hint
            )
            return Manifest()

    def _write(self, manifest: Manifest) -> None:
        if manifest == self._manifest:
            return
        self._manifest = manifest
        try:
            write_manifest(self._path, manifest)
        except OSError as error:
            logger.warning("%s was not written (%s). Try: free space.", self._path, error.strerror)


def _removals(devices: Documents, *, first_delay_s: float) -> Iterator[Step]:
    delay_s = first_delay_s
    for topic, document in devices.items():
        yield Step(delay_s, topic, encode_discovery(document))
        yield Step(SETTLE_S, topic, b"")
        delay_s = SPACING_S


def _with(document: Mapping[str, Any], components: Mapping[str, Component]) -> dict[str, Any]:
    return {**document, "cmps": {**document["cmps"], **components}}


def _decoded(encoded: bytes) -> Manifest:
    """The manifest that :func:`write_manifest` wrote; any other shape is one of several errors."""
    document = json.loads(encoded)
    if len(encoded) > MAX_MANIFEST_BYTES or document["v"] != MANIFEST_ID:
        raise ValueError
    topics = [*document["retained"], *document["stale"], *document["gone"]]
    if not all(isinstance(topic, str) and topic for topic in topics):
        raise TypeError
    current = document["current"]
    manifest = Manifest(
        current=None if current is None else Discovery(current["topic"], current["document"]),
        leaving=dict(document["leaving"]),
        gone=dict(document["gone"]),
        retained=frozenset(document["retained"]),
        stale=frozenset(document["stale"]),
    )
    _check_documents(manifest)
    manifest.removal(frozenset())  # every document can be sent, and merged into another
    return manifest


def _check_documents(manifest: Manifest) -> None:
    """What the file says would be sent again, so it is held to what may be."""
    current = [] if manifest.current is None else [manifest.current.document]
    leaving = [{**each, "cmps": dict(manifest.leaving)} for each in current]
    for document in (*current, *leaving, *manifest.gone.values()):
        check(dict(document), "discovery", error=ConfigError, source="a recorded announcement")
