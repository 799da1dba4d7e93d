import json
from dataclasses import replace

from host.gap_watch import Gap, GapState
from host.listen_line import as_json, as_text, attribute_line
from host.sealed_record import SealedRecord
from host.subscriber import Received, Rejected
from lsi.aggregate import AggPayload
from lsi.topics import Availability, Kind, Topic
from tests.host.devices import visit
from tests.lsi.test_status import HEALTH, INFO
from tests.payloads import payload
from tests.sealed import header


def event(kind: Kind, content: object) -> Received:
    return Received(Topic("hall1", kind), 200, retained=False, content=content)  # type: ignore[arg-type] # any content


def test_a_payload_is_one_readable_line() -> None:
    assert as_text(event(Kind.ATTR, payload())) == (
        "hall1 #7  face yes  Smiling yes  Eyeglasses no  | 200 bytes, scan 30.1 ms, encode 0.1 ms"
    )


def test_what_is_not_known_is_a_dash() -> None:
    line = as_text(event(Kind.ATTR, payload(face=None, attributes={"Smiling": None})))
    assert "face -  Smiling -" in line


def test_the_truth_stands_in_brackets_behind_the_answer() -> None:
    line = attribute_line(payload(), 200, {"face": True, "Smiling": False})
    assert "face yes (yes)  Smiling yes (no)  Eyeglasses no  |" in line


def test_health_comes_with_what_to_try() -> None:
    assert "saturated: less light" in as_text(event(Kind.HEALTH, HEALTH))


def test_info_says_simulated_and_what_may_leave() -> None:
    assert "sim-mcp3208 (simulated), 16 masks" in as_text(event(Kind.INFO, INFO))


def test_availability_and_rejections_are_lines_too() -> None:
    assert as_text(event(Kind.AVAILABILITY, Availability.ONLINE)) == "hall1 is online"
    assert as_text(Rejected("a/b", 3, "why")) == "rejected a/b (3 bytes): why"


def test_json_lines_carry_topic_bytes_and_payload() -> None:
    document = json.loads(as_json(event(Kind.ATTR, payload())))
    assert document["payload"] == json.loads(payload().encode())
    assert (document["topic"], document["bytes"], document["retained"]) == ("lsi/v1/hall1/attr", 200, False)
    assert json.loads(as_json(event(Kind.AVAILABILITY, Availability.OFFLINE)))["payload"] == "offline"
    assert json.loads(as_json(Rejected("a/b", 3, "why"))) == {"topic": "a/b", "bytes": 3, "rejected": "why"}


def test_a_window_tells_its_noisy_counts_or_that_there_were_too_few() -> None:
    window = AggPayload(
        "hall1",
        "0123456789abcdef",
        4,
        "2026-01-01T12:00:00.000Z",
        "ntp",
        "89abcdef",
        900,
        1.0,
        2,
        23,
        {"Smiling": 7},
    )
    assert as_text(event(Kind.AGG, window)) == "hall1 #4  23 visits  Smiling 7  | 900 s, epsilon 1"
    few = replace(window, visits=None, yes=None)
    assert as_text(event(Kind.AGG, few)) == "hall1 #4  too few visits to tell  | 900 s, epsilon 1"


def test_nothing_that_somebody_sent_steers_a_terminal() -> None:
    line = as_text(Rejected("a/\x1b[2J", 3, "why\r\nnot"))
    assert line == "rejected a/\ufffd[2J (3 bytes): why\ufffd\ufffdnot"


def test_visits_latents_and_gaps_are_lines_too() -> None:
    stream = "0123456789abcdef"
    record = SealedRecord(header(seq=5), b"\x01\x02")
    assert as_text(event(Kind.EVENT, visit(stream, seq=4))) == (
        "hall1 visit start  Smiling no  Eyeglasses -  | 200 bytes, record #4"
    )
    assert as_text(event(Kind.LATENT, record)) == "hall1 latent #5  sealed  | 200 bytes"
    assert json.loads(as_json(event(Kind.LATENT, record)))["payload"]["sealed"] == "AQI="
    gap = Gap("hall1", stream, 2, 3, GapState.GONE)
    assert as_text(gap) == "hall1 records #2 to #3: not on the device any more"
    assert json.loads(as_json(gap))["gap"]["state"] == "gone"
