"""One received message as one line: for people, or as JSON for programs."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from host.gap_watch import Gap, GapState
from host.sealed_record import SealedRecord
from host.subscriber import Content, Received, Rejected
from lsi.aggregate import AggPayload
from lsi.events import EventPayload, Phase
from lsi.payload import AttributePayload
from lsi.problems import ADVICE
from lsi.status import HealthPayload, InfoPayload
from lsi.update_state import UpdateState

_GAP_WORDS: Final = {
    GapState.MISSING: "missing, asked for",
    GapState.FILLED: "came after all",
    GapState.GONE: "not on the device any more",
    GapState.ABANDONED: "given up",
}
WORDS: Final = {True: "yes", False: "no", None: "-"}


def as_text(event: Received | Rejected | Gap) -> str:
    """The line a person reads."""
    if isinstance(event, Gap):
        return _gap_line(event)
    if isinstance(event, Rejected):
        said = f"rejected {event.topic} ({event.size_bytes} bytes): {event.reason}"
        return printable(said)
    return _content_line(event.topic.device_id, event.content, event.size_bytes)


def printable(text: str) -> str:
    """``text`` without what could steer a terminal: topics and reasons may hold what anybody sent."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _content_line(device_id: str, content: Content, size_bytes: int) -> str:
    match content:
        case AttributePayload():
            line = attribute_line(content, size_bytes)
        case EventPayload():
            line = _event_line(content, size_bytes)
        case AggPayload():
            line = _window_line(content)
        case SealedRecord():
            line = f"{device_id} latent #{content.seq}  sealed  | {size_bytes} bytes"
        case InfoPayload():
            line = _info_line(content)
        case HealthPayload():
            line = _health_line(content)
        case UpdateState():
            line = f"{device_id} runs bundle {content.installed}, has {content.latest}"
        case _:
            line = f"{device_id} is {content}"
    return line


def attribute_line(
    payload: AttributePayload, size_bytes: int, truth: Mapping[str, bool] | None = None
) -> str:
    """Attributes as yes, no or ``-`` (not known); with ``truth``, the true answer in brackets."""
    known = truth or {}
    answers = {"face": payload.face, **payload.attributes}
    words = [f"{name} {WORDS[answer]}{_true(known, name)}" for name, answer in answers.items()]
    times = f"scan {payload.scan_ms:.1f} ms, encode {payload.infer_ms:.1f} ms"
    return f"{payload.device_id} #{payload.seq}  {'  '.join(words)}  | {size_bytes} bytes, {times}"


def as_json(event: Received | Rejected | Gap) -> str:
    """One JSON object: topic, bytes, and the payload or why it was rejected; or a gap."""
    if isinstance(event, Gap):
        return json.dumps({"gap": asdict(event)})
    if isinstance(event, Rejected):
        return json.dumps({"topic": event.topic, "bytes": event.size_bytes, "rejected": event.reason})
    document = {"topic": str(event.topic), "bytes": event.size_bytes, "retained": event.retained}
    return json.dumps({**document, "payload": _payload(event.content)})


def _payload(content: Content) -> object:
    if isinstance(content, str):
        return str(content)
    if isinstance(content, SealedRecord):
        return {
            "dev": content.device_id,
            "stream": content.stream,
            "seq": content.seq,
            "ts": content.header.ts,
            "sealed": base64.b64encode(content.sealed).decode(),
        }
    return json.loads(content.encode())


def _true(truth: Mapping[str, bool], name: str) -> str:
    return f" ({WORDS[truth[name]]})" if name in truth else ""


def _event_line(visit: EventPayload, size_bytes: int) -> str:
    words = "  ".join(f"{name} {WORDS[answer]}" for name, answer in visit.attributes.items())
    lasted = f" after {visit.duration_s} s" if visit.phase is Phase.END else ""
    late = ", late" if visit.hist else ""
    tail = f"{size_bytes} bytes, record #{visit.seq}{late}"
    return f"{visit.device_id} visit {visit.phase}{lasted}  {words}  | {tail}"


def _gap_line(gap: Gap) -> str:
    records = f"record #{gap.first}" if gap.first == gap.last else f"records #{gap.first} to #{gap.last}"
    return f"{gap.device_id} {records}: {_GAP_WORDS[gap.state]}"


def _info_line(info: InfoPayload) -> str:
    board = f"{info.board}{' (simulated)' if info.simulated else ''}"
    bundle = f"{info.bundle_name} {info.bundle_version}"
    return f"{info.device_id}: {board}, {info.d} masks, {bundle}, {info.mode}: {', '.join(info.attributes)}"


def _window_line(window: AggPayload) -> str:
    if window.visits is None or window.yes is None:
        counts = "too few visits to tell"
    else:
        counts = f"{window.visits} visits  " + "  ".join(f"{name} {n}" for name, n in window.yes.items())
    return f"{window.device_id} #{window.seq}  {counts}  | {window.window_s} s, epsilon {window.epsilon:g}"


def _health_line(health: HealthPayload) -> str:
    counts = f"{health.scans} scans, {health.scans_failed} dropped"
    advice = "; ".join(f"{problem}: {ADVICE[problem]}" for problem in sorted(health.problems))
    return f"{health.device_id}: {advice or 'healthy'} ({counts})"
