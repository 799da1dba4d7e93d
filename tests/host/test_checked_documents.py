"""The fast validator lets through what the reference validator lets through, and no more."""

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.checked_documents import checked_document
from lsi.errors import PayloadError
from lsi.schema import MAX_PAYLOAD_BYTES, decode_document
from tests.host.devices import visit
from tests.lsi.test_status import HEALTH, INFO
from tests.payloads import payload

SOUND = {
    "attr": json.loads(payload().encode()),
    "event": json.loads(visit("0123456789abcdef", seq=3).encode()),
    "health": json.loads(HEALTH.encode()),
    "info": json.loads(INFO.encode()),
}
ODD: list[Any] = [
    None, True, 0, -1, 1.0, 5.5, 1e400, 2**53, 2**70, "", "hall1\n", "HALL", "0123456789abcdeF", [], {},
    "x" * 99, "2026-11-22T12:00:00.250Z\n", "\u0660123456789abcdef", ["a", "a"], {"a": 1}, float("nan"),
]  # fmt: skip


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    """Every place in a JSON value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [found for key, each in steps for found in spots(each, (*path, key))]


def changed(document: Any, chance: random.Random) -> Any:  # noqa: ANN401 - JSON
    document = copy.deepcopy(document)
    *way, last = chance.choice(spots(document)[1:])
    place = document
    for step in way:
        place = place[step]
    match chance.randrange(4):
        case 0:
            del place[last]
        case 1 if isinstance(place, dict):
            place[chance.choice(["v", "raw", "extra", "Smiling", "a" * 70])] = chance.choice(ODD)
        case _:
            place[last] = chance.choice(ODD)
    return document


def outcome(read: Any, encoded: bytes, name: str) -> Any:  # noqa: ANN401 - a function, a document or a reason
    try:
        return read(encoded, name)
    except PayloadError as error:
        return str(error)


@given(st.sampled_from(sorted(SOUND)), st.integers(1, 3), st.randoms(use_true_random=False))
def test_both_give_the_same_document_or_the_same_reasons(
    name: str, changes: int, chance: random.Random
) -> None:
    document = SOUND[name]
    for _ in range(changes):
        document = changed(document, chance)
    encoded = json.dumps(document).encode()
    assert outcome(checked_document, encoded, name) == outcome(decode_document, encoded, name)


@pytest.mark.parametrize("name", sorted(SOUND))
def test_a_sound_document_passes(name: str) -> None:
    assert checked_document(json.dumps(SOUND[name]).encode(), name) == SOUND[name]


def test_nothing_long_is_parsed() -> None:
    with pytest.raises(PayloadError, match="at most 2048 are read"):
        checked_document(b"[" * (MAX_PAYLOAD_BYTES + 1), "attr")
