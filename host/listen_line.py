"""One received message as one line: for people, or as JSON for programs."""

import json
from collections.abc import Mapping
from typing import Final

from host.subscriber import Received, Rejected
from lsi.aggregate import AggPayload
from lsi.payload import AttributePayload
from lsi.problems import ADVICE
from lsi.status import HealthPayload, InfoPayload

WORDS: Final = {True: "yes", False: "no", None: "-"}


def as_text(event: Received | Rejected) -> str:
    """The line a person reads."""
    if isinstance(event, Rejected):
        return f"rejected {event.topic} ({event.size_bytes} bytes): {event.reason}"
    match event.content:
        case AttributePayload() as payload:
            return attribute_line(payload, event.size_bytes)
        case InfoPayload() as info:
            return _info_line(info)
        case HealthPayload() as health:
            return _health_line(health)
        case AggPayload() as window:
            return _window_line(window)
        case availability:
            return f"{event.topic.device_id} is {availability}"


def attribute_line(
    payload: AttributePayload, size_bytes: int, truth: Mapping[str, bool] | None = None
) -> str:
    """Attributes as yes, no or ``-`` (not known); with ``truth``, the true answer in brackets."""
    known = truth or {}
    answers = {"face": payload.face, **payload.attributes}
    words = [f"{name} {WORDS[answer]}{_true(known, name)}" for name, answer in answers.items()]
    times = f"scan {payload.scan_ms:.1f} ms, encode {payload.infer_ms:.1f} ms"
    return f"{payload.device_id} #{payload.seq}  {'  '.join(words)}  | {size_bytes} bytes, {times}"


def as_json(event: Received | Rejected) -> str:
    """One JSON object: topic, bytes, and the payload or why it was rejected."""
    if isinstance(event, Rejected):
        return json.dumps({"topic": event.topic, "bytes": event.size_bytes, "rejected": event.reason})
    content = event.content
    payload = str(content) if isinstance(content, str) else json.loads(content.encode())
    document = {"topic": str(event.topic), "bytes": event.size_bytes, "retained": event.retained}
    return json.dumps({**document, "payload": payload})


def _true(truth: Mapping[str, bool], name: str) -> str:
    return f" ({WORDS[truth[name]]})" if name in truth else ""


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
