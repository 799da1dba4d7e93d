"""What a sensor says about itself: ``InfoPayload`` (retained) and ``HealthPayload``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from lsi.disclosure import PayloadMode
from lsi.problems import Problem
from lsi.rollback import ROLLBACK_TEXT, RollbackReason
from lsi.schema import (
    ATTR_SCHEMA_ID,
    HEALTH_SCHEMA_ID,
    INFO_SCHEMA_ID,
    decode_document,
    encode_document,
)


@dataclass(frozen=True, slots=True)
class Widening:
    """When (RFC 3339 UTC, by the device's clock) the policy was widened, and to which payload mode."""

    ts: str
    mode: PayloadMode


@dataclass(frozen=True, slots=True)
class AggTerms:
    """What windows of mode ``agg`` cost one visit, and what all of them so far cost together."""

    window_s: int
    epsilon: float
    releases: int
    spent: float


@dataclass(frozen=True, slots=True)
class RollbackTold:
    """The bundle that the device went back from, and why."""

    name: str
    version: str
    bundle_id: str
    reason: RollbackReason


@dataclass(frozen=True, slots=True)
class SlotsTold:
    """What the device's slots say about the running bundle.

    ``highest_epoch`` is the highest ``security_epoch`` that was committed here; ``downgrades`` counts
    how often root allowed a lower one.
    """

    is_trial: bool
    security_epoch: int
    highest_epoch: int
    downgrades: int
    rollback: RollbackTold | None = None

    def to_document(self) -> dict[str, Any]:
        """As ``info`` carries it."""
        document: dict[str, Any] = {
            "trial": self.is_trial,
            "security_epoch": self.security_epoch,
            "highest_epoch": self.highest_epoch,
            "downgrades": self.downgrades,
        }
        if self.rollback is not None:
            document["rollback"] = {
                "bundle": _bundle_document(
                    self.rollback.name, self.rollback.version, self.rollback.bundle_id
                ),
                "reason": self.rollback.reason,
                "text": ROLLBACK_TEXT[self.rollback.reason],
            }
        return document

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "SlotsTold":
        """Read what :meth:`to_document` wrote and the schema let pass."""
        told = document.get("rollback")
        rollback = None
        if told is not None:
            bundle = told["bundle"]
            reason = RollbackReason(told["reason"])
            rollback = RollbackTold(bundle["name"], bundle["version"], bundle["id"], reason)
        return cls(
            is_trial=document["trial"],
            security_epoch=document["security_epoch"],
            highest_epoch=document["highest_epoch"],
            downgrades=document["downgrades"],
            rollback=rollback,
        )


def _bundle_document(name: str, version: str, bundle_id: str) -> dict[str, str]:
    return {"name": name, "version": version, "id": bundle_id}


@dataclass(frozen=True, slots=True)
class InfoPayload:
    """Who this sensor is, what it runs and what it lets out.

    ``policy`` is the digest of the policy in force, ``bundle_id`` the content id of the
    bundle; both shortened to 8 digits. ``calibration_patterns`` counts the patterns that calibrations
    of this device have ever shown: no other pattern is shown but the bundle's masks. ``widened`` are the
    last times that somebody let the device tell more. ``agg`` is told in mode ``agg`` alone.
    ``mask_patterns`` counts the distinct masks that this device has ever been given, ``bits_per_frame``
    bounds what one scan can tell of any scene; ``None`` before the first one.
    """

    device_id: str
    stream: str
    software: str
    board: str
    simulated: bool
    mode: str
    policy: str
    attributes: tuple[str, ...]
    d: int
    bundle_name: str
    bundle_version: str
    bundle_id: str
    calibration_patterns: int = 0
    widened: tuple[Widening, ...] = ()
    agg: AggTerms | None = None
    mask_patterns: int = 0
    bits_per_frame: int | None = None
    slots: SlotsTold | None = None

    def encode(self) -> bytes:
        """Compact UTF-8 JSON that fits schema ``info``."""
        document: dict[str, object] = {
            "v": INFO_SCHEMA_ID,
            "dev": self.device_id,
            "stream": self.stream,
            "sw": self.software,
            "board": self.board,
            "simulated": self.simulated,
            "mode": self.mode,
            "policy": self.policy,
            "attributes": list(self.attributes),
            "d": self.d,
            "bundle": _bundle_document(self.bundle_name, self.bundle_version, self.bundle_id),
            "calibration_patterns": self.calibration_patterns,
            "mask_patterns": self.mask_patterns,
            "widened": [{"ts": each.ts, "mode": each.mode} for each in self.widened],
            "schemas": {"attr": ATTR_SCHEMA_ID, "health": HEALTH_SCHEMA_ID},
        }
        if self.agg is not None:
            document["agg"] = asdict(self.agg)
        if self.bits_per_frame is not None:
            document["bits_per_frame"] = self.bits_per_frame
        if self.slots is not None:
            document["slots"] = self.slots.to_document()
        return encode_document(document)

    @classmethod
    def decode(cls, encoded: bytes) -> "InfoPayload":
        """Read what :meth:`encode` wrote.

        Raises:
            PayloadError: Too long, not JSON, or against the schema.
        """
        return cls.of(decode_document(encoded, "info"))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "InfoPayload":
        """The value of a document that fits schema ``info``.

        Raises:
            PayloadError: A rule that a schema cannot say.
        """
        return cls(
            device_id=document["dev"],
            stream=document["stream"],
            software=document["sw"],
            board=document["board"],
            simulated=document["simulated"],
            mode=document["mode"],
            policy=document["policy"],
            attributes=tuple(document["attributes"]),
            d=document["d"],
            bundle_name=document["bundle"]["name"],
            bundle_version=document["bundle"]["version"],
            bundle_id=document["bundle"]["id"],
            calibration_patterns=document.get("calibration_patterns", 0),
            widened=tuple(
                Widening(each["ts"], PayloadMode(each["mode"])) for each in document.get("widened", [])
            ),
            agg=AggTerms(**document["agg"]) if "agg" in document else None,
            mask_patterns=document.get("mask_patterns", 0),
            bits_per_frame=document.get("bits_per_frame"),
            slots=SlotsTold.of(document["slots"]) if "slots" in document else None,
        )


class Throttling(StrEnum):
    """What slows the board down at this moment, as its firmware tells."""

    UNDER_VOLTAGE = "under_voltage"
    FREQUENCY_CAPPED = "frequency_capped"
    THROTTLED = "throttled"
    SOFT_TEMPERATURE_LIMIT = "soft_temperature_limit"


@dataclass(frozen=True, slots=True)
class Backlog:
    """Records on the device: waiting for the broker, kept for a replay, refused, lost since the start.

    ``withheld`` of the lost ones were of a wider policy than the one in force, and were erased.
    """

    rows: int
    kept: int
    dead: int
    dropped: int
    withheld: int = 0


@dataclass(frozen=True, slots=True)
class HealthPayload:
    """Whether the sensor works, as codes and counters. Holds nothing of the scene.

    ``mirror_duty`` is the part of the time (0 to 1) that the least and the most used mirrors
    were on, from masks and times alone; ``None`` before the first scan. ``infer_ms`` is the median
    of the last inferences. ``highest`` is the highest ``seq`` of each stream that is still known:
    a reader finds gaps and tails with it. ``paused_s`` is how long no scan will be made because
    somebody asked for that. ``temperature_c`` is that of the board's processor.
    """

    device_id: str
    stream: str
    problems: frozenset[Problem]
    scans: int
    scans_failed: int
    reconnects: int
    mirror_duty: tuple[float, float] | None = None
    infer_ms: float | None = None
    outbox: Backlog | None = None
    highest: Mapping[str, int] = field(default_factory=dict)
    certificate_expires: str | None = None
    paused_s: int = 0
    temperature_c: float | None = None
    throttled: frozenset[Throttling] = frozenset()

    def encode(self) -> bytes:
        """Compact UTF-8 JSON that fits schema ``health``."""
        document = {
            "v": HEALTH_SCHEMA_ID,
            "dev": self.device_id,
            "stream": self.stream,
            "problem": bool(self.problems),
            "problems": sorted(self.problems),
            "scans": self.scans,
            "scans_failed": self.scans_failed,
            "reconnects": self.reconnects,
        }
        document |= self._board()
        if self.mirror_duty is not None:
            document["mirror_duty"] = [round(duty, 3) for duty in self.mirror_duty]
        if self.infer_ms is not None:
            document["infer_ms"] = {"p50": round(self.infer_ms, 3)}
        if self.outbox is not None:
            document["outbox"] = asdict(self.outbox)
        if self.certificate_expires is not None:
            document["certificate"] = {"expires": self.certificate_expires}
        if self.highest:
            document["highest"] = dict(self.highest)
        return encode_document(document)

    @classmethod
    def decode(cls, encoded: bytes) -> "HealthPayload":
        """Read what :meth:`encode` wrote.

        Raises:
            PayloadError: Too long, not JSON, or against the schema.
        """
        return cls.of(decode_document(encoded, "health"))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "HealthPayload":
        """The value of a document that fits schema ``health``.

        Raises:
            PayloadError: A rule that a schema cannot say.
        """
        return cls(
            device_id=document["dev"],
            stream=document["stream"],
            problems=frozenset(map(Problem, document["problems"])),
            scans=document["scans"],
            scans_failed=document["scans_failed"],
            reconnects=document["reconnects"],
            mirror_duty=tuple(document["mirror_duty"]) if "mirror_duty" in document else None,
            infer_ms=document["infer_ms"]["p50"] if "infer_ms" in document else None,
            outbox=Backlog(**document["outbox"]) if "outbox" in document else None,
            highest=document.get("highest", {}),
            certificate_expires=document.get("certificate", {}).get("expires"),
            paused_s=document.get("paused_s", 0),
            temperature_c=document.get("temperature_c"),
            throttled=frozenset(map(Throttling, document.get("throttled", []))),
        )

    def _board(self) -> dict[str, object]:
        told: dict[str, object] = {}
        if self.paused_s:
            told["paused_s"] = self.paused_s
        if self.temperature_c is not None:
            told["temperature_c"] = round(self.temperature_c, 1)
        if self.throttled:
            told["throttled"] = sorted(self.throttled)
        return told
