import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.records.drain import mark_history
from lsi.attributes import ATTR_LITE
from lsi.errors import PayloadError
from lsi.events import EventPayload, Phase, ScanBucket
from lsi.schema import MAX_PAYLOAD_BYTES, load_schema

STREAM = "0123456789abcdef"
ROOT = Path(__file__).resolve().parents[2]


def event(**changes: Any) -> EventPayload:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "device_id": "hall1",
        "stream": STREAM,
        "seq": 7,
        "ts": "2026-11-22T12:00:42.250Z",
        "clock": "ntp",
        "bundle": "89abcdef",
        "phase": Phase.END,
        "visit": f"{STREAM}-3",
        "began": "2026-11-22T12:00:00.250Z",
        "scans": ScanBucket.TENS,
        "attributes": {"Smiling": True, "Eyeglasses": None},
        "duration_s": 42,
    }
    return EventPayload(**{**fields, **changes})


def broken(**changes: object) -> bytes:
    return json.dumps({**json.loads(event().encode()), **changes}).encode()


@given(
    st.sampled_from(Phase),
    st.sampled_from(ScanBucket),
    st.dictionaries(st.sampled_from(sorted(ATTR_LITE)), st.none() | st.booleans()),
    st.integers(1, 2**53 - 1),
    st.booleans(),
)
def test_an_event_survives_the_wire(
    phase: Phase, scans: ScanBucket, attributes: dict[str, bool | None], seq: int, hist: bool
) -> None:
    duration_s = seq if phase is Phase.END else None
    sent = event(phase=phase, scans=scans, attributes=attributes, seq=seq, hist=hist, duration_s=duration_s)
    assert EventPayload.decode(sent.encode()) == sent


def test_the_wire_format_is_this_text() -> None:
    assert event().encode() == (
        b'{"v":"lsi.event/1","dev":"hall1","stream":"0123456789abcdef","seq":7,'
        b'"ts":"2026-11-22T12:00:42.250Z","clock":"ntp","bundle":"89abcdef","phase":"end",'
        b'"visit":"0123456789abcdef-3","began":"2026-11-22T12:00:00.250Z","scans":"10-99",'
        b'"a":{"Smiling":true,"Eyeglasses":null},"duration_s":42}'
    )


def test_a_late_event_differs_by_its_mark_alone() -> None:
    assert mark_history(event().encode()) == event(hist=True).encode()


def test_an_event_gets_its_number_from_its_record() -> None:
    with pytest.raises(PayloadError, match="without a seq"):
        event(seq=0).encode()
    assert event(seq=0).encode_as(7) == event().encode()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a", {"Smiling": 0.93}),
        ("a", {"Smiling": "yes"}),
        ("scans", 17),
        ("scans", "17"),
        ("latent", [0.1]),
        ("face", True),
        ("ms", {"scan": 1, "infer": 1}),
        ("v", "lsi.event/2"),
        ("seq", 0),
        ("phase", "over"),
        ("visit", "3"),
        ("visit", f"{STREAM}-0"),
        ("visit", f"{'f' * 16}-3"),
        ("began", "noon"),
        ("duration_s", 0.5),
        ("duration_s", -1),
        ("hist", "yes"),
    ],
)
def test_an_event_has_no_place_for_anything_else(key: str, value: object) -> None:
    with pytest.raises(PayloadError):
        EventPayload.decode(broken(**{key: value}))


@pytest.mark.parametrize("phase", [Phase.START, Phase.UPDATE])
def test_only_an_end_has_a_duration(phase: Phase) -> None:
    with pytest.raises(PayloadError):
        event(phase=phase)
    with pytest.raises(PayloadError):
        EventPayload.decode(broken(phase=phase))
    document = json.loads(event().encode())
    del document["duration_s"]
    with pytest.raises(PayloadError, match="duration_s"):
        EventPayload.decode(json.dumps(document).encode())


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_with_a_payload_error(noise: bytes) -> None:
    with pytest.raises(PayloadError):
        EventPayload.decode(noise)


def test_too_long_an_event_does_not_leave_and_forty_attributes_do() -> None:
    with pytest.raises(PayloadError, match="may leave"):
        event(attributes={f"A{'x' * 40}{number}": True for number in range(40)}).encode()
    forty = event(attributes={f"Mouth_Slightly_Open{number}": True for number in range(40)})
    assert len(forty.encode()) < MAX_PAYLOAD_BYTES


@given(st.integers(1, 10**9))
def test_a_bucket_holds_its_number_and_no_other_does(scans: int) -> None:
    low, _, high = ScanBucket.of(scans).rstrip("+").partition("-")
    assert int(low) <= scans <= (int(high) if high else scans)
    with pytest.raises(ValueError, match="at least one"):
        ScanBucket.of(-scans)


@pytest.mark.parametrize(
    ("scans", "bucket"),
    [
        (1, "1-9"),
        (9, "1-9"),
        (10, "10-99"),
        (99, "10-99"),
        (100, "100-999"),
        (999, "100-999"),
        (1000, "1000+"),
    ],
)
def test_a_bucket_begins_with_a_power_of_ten(scans: int, bucket: str) -> None:
    assert ScanBucket.of(scans) == bucket


def test_the_schema_knows_each_phase_and_bucket_and_no_free_text() -> None:
    properties = load_schema("event")["properties"]
    assert properties["phase"]["enum"] == list(Phase)
    assert properties["scans"]["enum"] == list(ScanBucket)
    texts = [each for each in properties.values() if each.get("type") == "string"]
    assert all("pattern" in each for each in texts)


def test_the_reference_tells_every_key() -> None:
    text = (ROOT / "docs" / "reference" / "events.md").read_text("utf-8")
    told = set(json.loads(event(hist=True).encode())) - {"v", "dev", "bundle"}
    assert [key for key in told if f"`{key}`" not in text] == []
    assert event().encode().decode() in text.replace("\n ", "")


def test_an_event_is_frozen_with_its_answers() -> None:
    answers: dict[str, bool | None] = {"Smiling": True}
    kept = event(attributes=answers)
    answers["Male"] = True
    assert dict(kept.attributes) == {"Smiling": True}
    with pytest.raises(TypeError):
        kept.attributes["Male"] = True  # type: ignore[index] # that it cannot be done is the test
    with pytest.raises(dataclasses.FrozenInstanceError):
        kept.seq = 8  # type: ignore[misc] # same
