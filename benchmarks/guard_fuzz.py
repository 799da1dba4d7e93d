"""Random results, honest and hostile, against the guard of the way out; part of ``benchmarks.privacy``.

Each round draws a policy, a bundle's questions and logits, and sends what the device makes of them:
all of it has to pass. Then it changes the message in one of many ways and offers that: whatever passes is
judged by ``allowed_by_hand``, which shares no code with the guard.
"""

import json
import random
import string
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from benchmarks.report import Figure
from edge_app.disclosure.policy import ScanStamp, disclose
from edge_app.link.egress import EgressGuard
from edge_app.link.egress_rules import ResultTerms
from edge_app.link.publisher import message_of
from lsi.attributes import ATTR_LITE, AttributeLogits, AttributeSchema
from lsi.disclosure import DisclosurePolicy
from lsi.errors import EgressError
from lsi.topics import Kind
from lsi.units import NS_PER_S
from transport.broker import Message, MessageProperties

DEVICE: Final = "hall1"
QUESTIONS: Final = (*sorted(ATTR_LITE), "Male", "Pale_Skin", "Young", "Attractive")
_HEX: Final = "0123456789abcdef"
_KEYS: Final = {"v", "dev", "stream", "seq", "ts", "clock", "bundle", "face", "a", "ms"}
_MOST_BYTES: Final = 2048
_HOUR_MS: Final = 3_600_000
_ALPHABET: Final = string.printable.encode()

Change = Callable[[random.Random, Message], Message]


@dataclass(slots=True)
class Tally:
    """What became of the messages."""

    honest: int = 0
    honest_stopped: int = 0
    hostile: int = 0
    hostile_passed: int = 0
    leaks: int = 0
    honest_ns: int = 0
    without_guard_ns: int = 0
    ways: dict[str, int] = field(default_factory=dict)


def guard_figures(results: int, seed: int = 1) -> list[Figure]:
    """``guard_results_per_s`` and ``guard_leaks`` over so many honest and so many hostile messages."""
    source, tally = random.Random(seed), Tally()  # noqa: S311 - a fuzzer that can be repeated
    for _ in range(results):
        _round(source, tally)
    per_s = tally.honest * NS_PER_S / tally.honest_ns
    floor_per_s = tally.honest * NS_PER_S / tally.without_guard_ns
    counts: dict[str, float] = {
        "honest": tally.honest,
        "honest_stopped": tally.honest_stopped,
        "hostile": tally.hostile,
        "hostile_that_were_harmless": tally.hostile_passed - tally.leaks,
    }
    holds = tally.leaks == 0 and tally.honest_stopped == 0
    return [
        Figure("guard_results_per_s", per_s, "1/s", None, None, {"without_guard_per_s": floor_per_s}),
        Figure("guard_leaks", tally.leaks, "messages", "0, and none stopped that may leave", holds, counts),
    ]


def _round(source: random.Random, tally: Tally) -> None:
    schema, terms = _drawn_terms(source)
    started_ns = time.perf_counter_ns()
    message = _told(source, schema, terms)
    made_ns = time.perf_counter_ns()
    guard = EgressGuard(DEVICE, terms)
    ready_ns = time.perf_counter_ns()
    tally.honest += 1
    tally.honest_stopped += not _passes(guard, message)
    done_ns = time.perf_counter_ns()
    tally.without_guard_ns += made_ns - started_ns
    tally.honest_ns += made_ns - started_ns + done_ns - ready_ns
    way = source.choice(CHANGES)
    hostile = way(source, message)
    tally.hostile += 1
    if _passes(EgressGuard(DEVICE, terms), hostile):
        tally.hostile_passed += 1
        if not allowed_by_hand(hostile, terms):
            tally.leaks += 1
            tally.ways[way.__name__] = tally.ways.get(way.__name__, 0) + 1


def _passes(guard: EgressGuard, message: Message) -> bool:
    try:
        guard.check(message)
    except EgressError:
        return False
    return True


def _drawn_terms(source: random.Random) -> tuple[AttributeSchema, ResultTerms]:
    names = tuple(source.sample(QUESTIONS, source.randint(1, len(QUESTIONS))))
    allowed = frozenset(source.sample(sorted(ATTR_LITE), source.randint(0, len(ATTR_LITE))))
    stream, bundle = ("".join(source.choices(_HEX, k=length)) for length in (16, 8))
    schema = AttributeSchema(names, tuple(source.uniform(-2, 2) for _ in names), source.uniform(-2, 2))
    return schema, ResultTerms(stream, bundle, DisclosurePolicy(allowed), allowed & set(names))


def _told(source: random.Random, schema: AttributeSchema, terms: ResultTerms) -> Message:
    """What the device makes of random logits."""
    drawn = [source.choice([source.gauss(0, 3), 1e30, -1e30, 0.0]) for _ in range(len(schema) + 1)]
    logits = AttributeLogits(np.array(drawn, np.float32), schema)
    stamp = ScanStamp(
        DEVICE,
        terms.stream,
        source.randint(1, 2**53 - 1),
        "2026-01-01T12:00:00.000Z",
        source.choice(["ntp", "unsynced"]),
        terms.bundle,
        source.uniform(0, 3_600_000),
        source.uniform(0, 1000),
    )
    return message_of(DEVICE, Kind.ATTR, disclose(logits, terms.policy, stamp).encode())


def allowed_by_hand(message: Message, terms: ResultTerms) -> bool:
    """Whether a message on ``attr`` may leave, judged without a line of the guard's code."""
    if message != Message(f"lsi/v1/{DEVICE}/attr", message.payload, 1, retain=False):
        return False
    text = message.payload.decode("ascii", "replace")
    if len(message.payload) > _MOST_BYTES or any(each in text for each in " \n\t\\"):
        return False
    pairs: list[str] = []
    try:
        document = json.loads(text, object_pairs_hook=lambda each: _noted(each, pairs))
        return _is_allowed(document, terms) and len(pairs) == len(_KEYS) + len(terms.names) + 2
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def _noted(each: list[tuple[str, Any]], pairs: list[str]) -> dict[str, Any]:
    pairs += [key for key, _ in each]
    return dict(each)


def _is_allowed(document: dict[str, Any], terms: ResultTerms) -> bool:
    answers, durations = document["a"], document["ms"]
    known = {True, False, None} if document["face"] is True else {None}
    told = (document["v"], document["dev"], document["stream"], document["bundle"])
    return (
        set(document) == _KEYS
        and told == ("lsi.attr/1", DEVICE, terms.stream, terms.bundle)
        and set(answers) == terms.names
        and all(type(value) in {bool, type(None)} and value in known for value in answers.values())
        and document["face"] in {True, False, None}
        and type(document["face"]) in {bool, type(None)}
        and type(document["seq"]) in {int, float}
        and 0 <= document["seq"] < 2**53
        and document["clock"] in {"ntp", "unsynced"}
        and len(document["ts"]) == len("2026-01-01T12:00:00.000Z")
        and set(durations) == {"scan", "infer"}
        and all(0 <= each <= _HOUR_MS and round(each, 1) == each for each in durations.values())
    )


def _noise(source: random.Random, message: Message) -> Message:
    payload = bytearray(message.payload)
    for _ in range(source.randint(1, 4)):
        payload[source.randrange(len(payload))] = source.choice(_ALPHABET)
    return replace(message, payload=bytes(payload))


def _cut(source: random.Random, message: Message) -> Message:
    start = source.randrange(len(message.payload))
    end = start + source.randint(1, 16)
    return replace(message, payload=message.payload[:start] + message.payload[end:])


def _appended(source: random.Random, message: Message) -> Message:
    tail = bytes(source.choices(_ALPHABET, k=source.randint(1, 32)))
    return replace(message, payload=source.choice([tail + message.payload, message.payload + tail]))


def _key(source: random.Random, message: Message) -> Message:
    document = json.loads(message.payload)
    where = source.choice([document, document["a"], document["ms"]])
    name = source.choice([*QUESTIONS, *_KEYS, "logits", "y", "p"])
    where[name] = source.choice([True, False, None, source.random(), 1, [0.1], {"x": 1}, "text", 2**70])
    return replace(message, payload=json.dumps(document, separators=(",", ":")).encode())


def _twin(source: random.Random, message: Message) -> Message:
    name = source.choice(QUESTIONS).encode()
    payload = message.payload.replace(b'"a":{', b'"a":{"' + name + b'":true,', 1)
    return replace(message, payload=payload.replace(b",}", b"}"))


def _value(source: random.Random, message: Message) -> Message:
    document = json.loads(message.payload)
    key = source.choice(sorted(document))
    document[key] = source.choice([source.random(), "x" * source.randint(0, 3000), None, True, -1, {}, []])
    return replace(message, payload=json.dumps(document, separators=(",", ":")).encode())


def _digits(source: random.Random, message: Message) -> Message:
    document = json.loads(message.payload)
    document["ms"][source.choice(["scan", "infer"])] = source.uniform(0, 100)
    return replace(message, payload=json.dumps(document, separators=(",", ":")).encode())


def _spaced(source: random.Random, message: Message) -> Message:
    separators = source.choice([(", ", ":"), (",", ": "), (",\n", ":")])
    return replace(message, payload=json.dumps(json.loads(message.payload), separators=separators).encode())


def _elsewhere(source: random.Random, message: Message) -> Message:
    kinds = [*Kind, "raw", "latent", "cmd/pause", "ack/pause"]
    device = source.choice([DEVICE, "hall2", "+", "#"])
    return replace(message, topic=f"lsi/v1/{device}/{source.choice(kinds)}")


def _flagged(source: random.Random, message: Message) -> Message:
    return source.choice(
        [
            replace(message, retain=True),
            replace(message, qos=source.choice([0, 2])),
            replace(message, properties=MessageProperties(correlation_data=b"0123")),
            replace(message, properties=MessageProperties(user_properties=(("a", "b"),))),
        ]
    )


CHANGES: Final[list[Change]] = [
    _noise, _cut, _appended, _key, _twin, _value, _digits, _spaced, _elsewhere, _flagged,
]  # fmt: skip
