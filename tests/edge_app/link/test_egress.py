"""The guard of the way out: what passes, what closes it, what is withheld; no reason repeats a value."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.link.announced import Manifest
from edge_app.link.egress import EgressGuard
from edge_app.link.egress_rules import Announcements, ResultTerms, record_key
from edge_app.link.home_assistant import discovery, retained_topics
from edge_app.link.publisher import message_of
from edge_app.records.outbox_records import Record, RecordKey
from lsi.command_documents import ACK_SCHEMA_ID, Accepted, AckPayload, Command, ack_topic
from lsi.disclosure import RESULT_KINDS, DisclosurePolicy, PayloadMode
from lsi.errors import EgressError, PayloadError, RecordWithheldError
from lsi.topics import Kind, Topic
from lsi.update_state import UpdateState
from tests import leaving
from tests.edge_app.link.home_assistant_cards import card
from transport.broker import Message, MessageProperties

TERMS = leaving.terms()
WANTED = discovery(card(), leaving.NAMES)
ALLOWED = {
    Kind.AVAILABILITY: b"online",
    Kind.INFO: leaving.info(),
    Kind.ATTR: leaving.attr(),
    Kind.HEALTH: leaving.health(),
    Kind.EVENT: leaving.event()(3),
    Kind.UPDATE: UpdateState("1.2.3", "1.2.4").encode(),
}


def guard(results: ResultTerms | None = TERMS, announcements: Announcements | None = None) -> EgressGuard:
    return EgressGuard(leaving.DEVICE, results, announcements)


def message(kind: Kind, payload: bytes | None = None) -> Message:
    return message_of(leaving.DEVICE, kind, ALLOWED[kind] if payload is None else payload)


def stopped(message: Message, **terms: Any) -> str:  # noqa: ANN401 - any field
    """Why ``message`` is stopped; and that nothing leaves after it."""
    closing = guard(**terms)
    with pytest.raises(EgressError) as caught:
        closing.check(message)
    assert closing.is_closed
    with pytest.raises(EgressError):
        closing.check(message_of(leaving.DEVICE, Kind.AVAILABILITY, b"online"))
    return str(caught.value)


def changed(kind: Kind, **keys: Any) -> Message:  # noqa: ANN401 - any JSON
    return message(kind, encoded({**json.loads(ALLOWED[kind]), **keys}))


def encoded(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def ack(command: Command = Command.REBIRTH, **changes: Any) -> Message:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {"device_id": leaving.DEVICE, "stream": leaving.STREAM, "command": command}
    payload = AckPayload(**{**fields, "reply": Accepted(), **changes}).encode()
    properties = MessageProperties(
        expires_s=60,
        content_type="application/json",
        user_properties=(("schema", ACK_SCHEMA_ID),),
        correlation_data=b"abc",
        is_text=True,
    )
    return Message(ack_topic(leaving.DEVICE, command), payload, properties=properties)


def test_everything_that_a_sensor_says_passes() -> None:
    passing = guard(announcements=Announcements(WANTED, names=TERMS.names))
    for kind in ALLOWED:
        passing.check(message(kind))
    passing.check(ack())
    passing.check(Message(WANTED.topic, WANTED.payload, 1, retain=True))
    assert not passing.is_closed


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (Kind.ATTR, {"a": {"Smiling": True, "Eyeglasses": False, "Male": True}}),
        (Kind.ATTR, {"a": {"Smiling": True}}),
        (Kind.ATTR, {"a": {"Smiling": 0.93, "Eyeglasses": False}}),
        (Kind.ATTR, {"dev": "hall2"}),
        (Kind.ATTR, {"stream": leaving.EARLIER}),
        (Kind.ATTR, {"bundle": "01234567"}),
        (Kind.ATTR, {"ms": {"scan": 30.123456789, "infer": 0.1}}),
        (Kind.ATTR, {"logits": [1.5, -0.5]}),
        (Kind.ATTR, {"seq": 2**60}),
        (Kind.EVENT, {"a": {"Male": True}}),
        (Kind.EVENT, {"a": {"Smiling": 0.7}}),
        (Kind.EVENT, {"dev": "hall2"}),
        (Kind.EVENT, {"visit": f"{leaving.EARLIER}-1"}),
        (Kind.EVENT, {"bundle": "01234567"}),
        (Kind.INFO, {"mode": "attr"}),
        (Kind.INFO, {"policy": "00000000"}),
        (Kind.INFO, {"attributes": ["Smiling", "Eyeglasses", "Male"]}),
        (Kind.INFO, {"bundle": {"name": "small", "version": "1.2.3", "id": "01234567"}}),
        (Kind.INFO, {"board": "x" * 49}),
        (Kind.HEALTH, {"infer_ms": {"p50": 0.12345678}}),
        (Kind.HEALTH, {"outbox": {"rows": 2**200, "kept": 0, "dead": 0, "dropped": 0}}),
        (Kind.HEALTH, {"certificate": {"expires": "any text at all"}}),
        (Kind.HEALTH, {"problems": ["face seen"]}),
        (Kind.UPDATE, {"installed_version": "face"}),
    ],
)
def test_what_a_payload_may_not_say_stops_it(kind: Kind, keys: dict[str, Any]) -> None:
    found = stopped(changed(kind, **keys))
    for value in ("0.93", "0.7", "Male", "123456", "face seen", "any text", "xxx"):
        assert value not in found


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"v":"lsi.attr/1"}',
        b"no json",
        b"",
        b"\xff\xfe",
        ALLOWED[Kind.ATTR] + b" ",
        ALLOWED[Kind.ATTR] + b"\n" + b"\x00" * 64,
        ALLOWED[Kind.ATTR].replace(b'"Smiling":true', b'"Smiling":false,"Smiling":true'),
        ALLOWED[Kind.ATTR].replace(b"Smiling", b"Smil\\u0069ng"),
        ALLOWED[Kind.ATTR].replace(b"30.1", b"30.10"),
        ALLOWED[Kind.ATTR].replace(b"30.1", b"NaN"),
        ALLOWED[Kind.INFO],
        ALLOWED[Kind.EVENT],
        b"[" * 1000,
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_another_spelling_or_another_document_stops_it(wrong: bytes) -> None:
    stopped(message(Kind.ATTR, wrong))


@pytest.mark.parametrize(
    "topic",
    [
        "lsi/v1/hall2/attr",
        "lsi/v1/hall1/attr/x",
        "lsi/v1/hall1/raw",
        "lsi/v1/hall1/cmd/pause",
        "lsi/v1/hall1/ack/wipe",
        "homeassistant/device/hall1/config",
        "homeassistant/status",
        "$SYS/x",
        "",
        "lsi/v1/hall1/attr\0",
    ],
)
def test_a_topic_that_is_not_ours_stops_it(topic: str) -> None:
    stopped(Message(topic, ALLOWED[Kind.ATTR]))
    stopped(Message(topic, b"", 1, retain=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {"retain": True},
        {"qos": 0},
        {"qos": 2},
        {"properties": MessageProperties(user_properties=(("latent", "AAAA"),))},
        {"properties": MessageProperties(correlation_data=b"1234")},
        {"properties": MessageProperties(response_topic="elsewhere")},
        {"properties": MessageProperties(content_type="image/png")},
    ],
)
def test_what_goes_with_a_message_is_judged_too(wrong: dict[str, Any]) -> None:
    stopped(replace(message(Kind.ATTR), **wrong))


def test_an_answer_is_of_its_topic_and_carries_back_no_more_than_was_sent() -> None:
    stopped(replace(ack(), topic=ack_topic(leaving.DEVICE, Command.PAUSE)))
    stopped(replace(ack(), properties=MessageProperties(correlation_data=b"x" * 65)))
    stopped(ack(stream=leaving.EARLIER))


def test_types_that_could_change_their_mind_are_stopped() -> None:
    class Later(bytes):
        pass

    class Where(str):
        __slots__ = ()

    stopped(message(Kind.ATTR, Later(ALLOWED[Kind.ATTR])))
    stopped(replace(message(Kind.ATTR), payload=bytearray(ALLOWED[Kind.ATTR])))  # type: ignore[arg-type] # on purpose
    stopped(replace(message(Kind.ATTR), topic=Where(str(Topic(leaving.DEVICE, Kind.ATTR)))))


@pytest.mark.parametrize("kind", [Kind.ATTR, Kind.EVENT])
@pytest.mark.parametrize("mode", PayloadMode)
def test_a_mode_sends_its_own_kinds_and_no_other(
    kind: Kind, mode: PayloadMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = DisclosurePolicy(TERMS.names)
    monkeypatch.setattr(DisclosurePolicy, "__post_init__", lambda _: None)
    terms = replace(TERMS, policy=replace(policy, mode=mode))
    if kind in RESULT_KINDS[mode]:
        guard(terms).check(message(kind))
    else:
        stopped(message(kind), results=terms)


def test_a_command_that_tells_nothing_of_a_scene_can_tell_nothing_of_one() -> None:
    for kind in (Kind.ATTR, Kind.EVENT, Kind.INFO, Kind.HEALTH):
        stopped(message(kind), results=None)
    stopped(ack(), results=None)


class TestAnnouncements:
    def check(self, payload: bytes, manifest: Manifest | None = None) -> EgressGuard:
        announcements = Announcements(
            WANTED, manifest or Manifest(), TERMS.names, retained_topics(leaving.DEVICE)
        )
        checking = guard(announcements=announcements)
        checking.check(Message(WANTED.topic, payload, 1, retain=True))
        return checking

    def test_an_attribute_that_may_not_leave_is_not_even_announced(self) -> None:
        with pytest.raises(EgressError):
            Announcements(discovery(card(), ["Smiling", "Male"]), names=TERMS.names)

    @pytest.mark.parametrize(
        "change",
        [
            lambda it: it["dev"].update(name="0.123 0.456"),
            lambda it: it["dev"].update(mf="something else"),
            lambda it: it["cmps"].update(male={"p": "binary_sensor"}),
            lambda it: it["cmps"]["smiling"].update(name="It is 0.93"),
            lambda it: it["cmps"]["smiling"].update(p="sensor"),
            lambda it: it.update(note="x"),
        ],
    )
    def test_a_changed_announcement_is_stopped(self, change: Callable[[Any], None]) -> None:
        document = json.loads(WANTED.payload)
        change(document)
        with pytest.raises(EgressError):
            self.check(encoded(document))

    def test_an_entity_that_was_announced_before_may_be_taken_back_step_by_step(self) -> None:
        before = discovery(card(), [*leaving.NAMES, "Wearing_Hat"])
        manifest = Manifest(before).announcing(WANTED, frozenset())
        for step in manifest.series():
            self.check(step.payload, Manifest(before))
            self.check(step.payload, manifest)
        with pytest.raises(EgressError):
            self.check(before.payload)

    def test_an_empty_retained_message_takes_our_own_away_and_no_other(self) -> None:
        for topic in (WANTED.topic, *retained_topics(leaving.DEVICE)):
            self.check(WANTED.payload).check(Message(topic, b"", 1, retain=True))
        with pytest.raises(EgressError):
            self.check(WANTED.payload).check(Message("lsi/v1/hall2/info", b"", 1, retain=True))
        self.check(b"")  # passes, for it is retained
        with pytest.raises(EgressError):
            guard().check(Message(WANTED.topic, b"", 1))


def record(stream: str, seq: int = 3, kind: str = "event", topic: str | None = None) -> Record:
    return Record(
        RecordKey(stream, seq),
        kind,
        topic or f"lsi/v1/{leaving.DEVICE}/{kind}",
        b"",
        0.0,
        60.0,
        0,
        again=False,
    )


class TestRecords:
    def test_records_of_this_and_of_earlier_starts_pass(self) -> None:
        passing = guard()
        passing.check_record(record(leaving.STREAM), leaving.event()(3))
        late = leaving.event(leaving.EARLIER, bundle="01234567", hist=True)(3)
        passing.check_record(record(leaving.EARLIER), late)
        passing.check(message(Kind.EVENT, late))

    def test_an_earlier_record_of_a_wider_policy_is_withheld_and_the_service_goes_on(self) -> None:
        going_on = guard()
        wider = leaving.event(leaving.EARLIER, attributes={"Smiling": True, "Wearing_Hat": True})(3)
        with pytest.raises(RecordWithheldError):
            going_on.check_record(record(leaving.EARLIER), wider)
        assert not going_on.is_closed

    def test_an_earlier_record_of_a_kind_that_the_mode_does_not_send_is_withheld(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(DisclosurePolicy, "__post_init__", lambda _: None)
        agg = guard(replace(TERMS, policy=DisclosurePolicy(TERMS.names, PayloadMode.AGG)))
        with pytest.raises(RecordWithheldError):
            agg.check_record(record(leaving.EARLIER), leaving.event(leaving.EARLIER)(3))

    @pytest.mark.parametrize(
        ("of", "payload"),
        [
            (record(leaving.EARLIER, 4), leaving.event(leaving.EARLIER)(3)),
            (record(leaving.EARLIER), leaving.event()(3)),
            (record(leaving.EARLIER, topic="lsi/v1/hall2/event"), leaving.event(leaving.EARLIER)(3)),
            (record(leaving.EARLIER), b"{}"),
            (record(leaving.EARLIER), leaving.event(leaving.EARLIER)(3) + b" "),
        ],
    )
    def test_an_earlier_record_that_is_none_becomes_a_dead_letter(self, of: Record, payload: bytes) -> None:
        going_on = guard()
        with pytest.raises(PayloadError):
            going_on.check_record(of, payload)
        assert not going_on.is_closed

    @pytest.mark.parametrize(
        "payload",
        [
            leaving.event(attributes={"Wearing_Hat": True})(3),
            leaving.event()(4),
            leaving.event(leaving.EARLIER)(3),
            b"{}",
            b"",
        ],
    )
    def test_a_record_of_this_start_that_was_changed_closes_the_guard(self, payload: bytes) -> None:
        closing = guard()
        with pytest.raises(EgressError):
            closing.check_record(record(leaving.STREAM), payload)
        assert closing.is_closed

    @pytest.mark.parametrize(
        "payload", [b"", b"[]", b"1", b'{"stream":1,"seq":2}', b'{"seq":true,"stream":"a"}']
    )
    def test_what_names_no_key_has_none(self, payload: bytes) -> None:
        assert record_key("event", payload, TERMS) is None


@given(
    st.sampled_from(sorted(ALLOWED)),
    st.integers(0, 2048),
    st.binary(min_size=1, max_size=8),
    st.sampled_from(["replace", "insert", "delete"]),
)
def test_no_changed_byte_lets_a_payload_say_more(kind: Kind, at: int, noise: bytes, how: str) -> None:
    """Whatever passes is a spelling of the document that its schema and the policy allow."""
    original = ALLOWED[kind]
    at %= len(original) + 1
    end = at if how == "insert" else at + len(noise)
    payload = original[:at] + (b"" if how == "delete" else noise) + original[end:]
    checking = guard()
    with suppress(EgressError):
        checking.check(message(kind, payload))
    if kind is Kind.ATTR and not checking.is_closed:
        document = json.loads(payload)
        assert set(document["a"]) == set(leaving.NAMES)
        assert all(answer is None or type(answer) is bool for answer in document["a"].values())
        assert encoded(document) == payload


def test_another_bundle_may_be_narrower_than_device_and_site_and_never_wider() -> None:
    narrow = leaving.terms(names=("Smiling",))
    changing = EgressGuard(leaving.DEVICE, narrow, None, TERMS.policy)
    changing.change(TERMS, Announcements())
    changing.check(message(Kind.ATTR))
    changing.change(narrow, Announcements())
    with pytest.raises(EgressError):
        changing.change(leaving.terms(names=(*leaving.NAMES, "Wearing_Hat")), Announcements())
    assert changing.is_closed
    with pytest.raises(EgressError):
        guard(narrow).change(TERMS, Announcements())
    with pytest.raises(EgressError):
        EgressGuard(leaving.DEVICE, TERMS, None, narrow.policy)
