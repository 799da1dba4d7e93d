import json
import logging
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.link.announced import (
    MANIFEST_NAME,
    MAX_GONE,
    MAX_MANIFEST_BYTES,
    Announced,
    Manifest,
    Step,
    read_manifest,
    write_manifest,
)
from edge_app.link.home_assistant import Discovery, discovery, retained_topics
from lsi.attributes import ATTR_LITE
from lsi.errors import ConfigError
from tests.contracts.home_assistant_rules import Sent, series_faults
from tests.edge_app.link.home_assistant_cards import ATTR_LITE_NAMES, card

ALL = discovery(card(), ATTR_LITE_NAMES)
FEWER = discovery(card(), ("Smiling", "Eyeglasses"))
RENAMED = discovery(card(device_id="door2"), ATTR_LITE_NAMES)
RETAINED = retained_topics("hall1")
BARE = {"p": "binary_sensor"}
EMPTY = '{"v":"lsi.announced/1","current":null,"leaving":{},"gone":{},"retained":[],"stale":[]}'


def announced(tmp_path: Path) -> Announced:
    return Announced(tmp_path / MANIFEST_NAME)


def timed(steps: tuple[Step, ...]) -> list[Sent]:
    at_s, sent = 0.0, []
    for step in steps:
        at_s += step.delay_s
        sent.append((at_s, step.topic, step.payload, step.retain))
    return sent


def components(step: Step) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(step.payload)["cmps"]
    return found


def test_a_first_announcement_is_one_retained_message(tmp_path: Path) -> None:
    assert announced(tmp_path).announce(ALL, RETAINED) == (Step(0.0, ALL.topic, ALL.payload, retain=True),)


def test_the_same_announcement_again_is_one_message_and_leaves_the_file_alone(tmp_path: Path) -> None:
    announced(tmp_path).announce(ALL, RETAINED)
    os.utime(tmp_path / MANIFEST_NAME, (1, 1))
    again = announced(tmp_path)
    assert len(again.announce(ALL, RETAINED)) == 1
    again.sent(after_birth=True)
    assert (tmp_path / MANIFEST_NAME).stat().st_mtime == 1


def test_an_entity_leaves_in_three_steps(tmp_path: Path) -> None:
    announced(tmp_path).announce(ALL, RETAINED)
    whole, bare, without = announced(tmp_path).announce(FEWER, RETAINED)
    assert [step.delay_s for step in (whole, bare, without)] == [0.0, 5.0, 5.0]
    assert components(whole) == json.loads(ALL.payload)["cmps"]
    assert components(bare) == {**FEWER.components, "mouth_slightly_open": BARE, "wearing_hat": BARE}
    assert without.payload == FEWER.payload
    assert series_faults(timed((whole, bare, without))) == []


def test_a_removal_is_repeated_until_it_was_made_after_a_birth(tmp_path: Path) -> None:
    announced(tmp_path).announce(ALL, RETAINED)
    device = announced(tmp_path)
    device.announce(FEWER, RETAINED)
    device.sent(after_birth=False)
    device = announced(tmp_path)
    assert len(device.announce(FEWER, RETAINED)) == 3
    device.sent(after_birth=True)
    assert len(device.announce(FEWER, RETAINED)) == 1
    assert len(announced(tmp_path).announce(FEWER, RETAINED)) == 1


def test_an_entity_that_comes_back_is_owed_nothing(tmp_path: Path) -> None:
    device = announced(tmp_path)
    for wanted in (ALL, FEWER, ALL):
        device.announce(wanted, RETAINED)
    assert dict(device.manifest.leaving) == {}


def test_a_renamed_device_is_announced_first_and_its_old_name_removed_after(tmp_path: Path) -> None:
    announced(tmp_path).announce(FEWER, RETAINED)
    steps = announced(tmp_path).announce(RENAMED, retained_topics("door2"))
    assert [(step.topic, bool(step.payload)) for step in steps] == [
        (RENAMED.topic, True), (FEWER.topic, True), (FEWER.topic, False),
        *((topic, False) for topic in sorted(RETAINED)),
    ]  # fmt: skip
    assert [step.delay_s for step in steps[:3]] == [0.0, 5.0, 2.0]
    assert series_faults(timed(steps)) == []


def test_stale_topics_are_emptied_until_they_were_sent_and_the_old_device_until_a_birth(
    tmp_path: Path,
) -> None:
    device = announced(tmp_path)
    device.announce(ALL, RETAINED)
    device.announce(RENAMED, retained_topics("door2"))
    device.sent(after_birth=False)
    again = announced(tmp_path).announce(RENAMED, retained_topics("door2"))
    assert [step.topic for step in again] == [RENAMED.topic, ALL.topic, ALL.topic]
    device.sent(after_birth=True)
    assert device.manifest == Manifest(current=RENAMED, retained=retained_topics("door2"))


def test_stale_topics_that_a_crash_left_are_still_emptied(tmp_path: Path) -> None:
    announced(tmp_path).announce(ALL, RETAINED)
    announced(tmp_path).announce(RENAMED, retained_topics("door2"))
    steps = announced(tmp_path).announce(RENAMED, retained_topics("door2"))
    assert [step.topic for step in steps[3:]] == sorted(RETAINED)


def test_a_device_that_takes_its_old_name_again_removes_only_what_it_lacks(tmp_path: Path) -> None:
    device = announced(tmp_path)
    for wanted, retained in ((ALL, RETAINED), (RENAMED, retained_topics("door2")), (FEWER, RETAINED)):
        device.announce(wanted, retained)
    assert set(device.manifest.leaving) == {"mouth_slightly_open", "wearing_hat"}
    assert set(device.manifest.gone) == {RENAMED.topic}
    assert device.manifest.stale == retained_topics("door2")
    assert series_faults(timed(device.manifest.series())) == []


def test_switching_home_assistant_off_removes_the_device_and_keeps_its_own_topics(tmp_path: Path) -> None:
    device = announced(tmp_path)
    device.announce(ALL, RETAINED)
    steps = device.announce(None, RETAINED)
    assert [(step.delay_s, step.topic, bool(step.payload)) for step in steps] == [
        (0.0, ALL.topic, True), (2.0, ALL.topic, False),
    ]  # fmt: skip
    device.sent(after_birth=True)
    assert device.announce(None, RETAINED) == ()


def test_removing_everything_takes_leaving_entities_with_it(tmp_path: Path) -> None:
    device = announced(tmp_path)
    device.announce(ALL, RETAINED)
    device.announce(FEWER, RETAINED)
    steps = device.manifest.removal(RETAINED)
    assert components(steps[0]) == json.loads(ALL.payload)["cmps"]
    assert [(step.topic, step.payload) for step in steps[1:]] == [
        (topic, b"") for topic in (ALL.topic, *sorted(RETAINED))
    ]
    assert series_faults(timed(steps)) == []
    removed = device.manifest.removed()
    assert (removed.current, set(removed.gone)) == (None, {ALL.topic})


def test_nothing_announced_means_nothing_but_the_own_topics_is_cleared() -> None:
    assert [step.topic for step in Manifest().removal(RETAINED)] == sorted(RETAINED)
    assert Manifest().removal(frozenset()) == ()


def test_only_so_many_former_names_are_owed_a_removal(tmp_path: Path) -> None:
    device = announced(tmp_path)
    for number in range(MAX_GONE + 5):
        device.announce(discovery(card(device_id=f"d{number}"), ()), frozenset())
    assert list(device.manifest.gone) == [f"homeassistant/device/d{number}/config" for number in range(4, 12)]


wishes = st.lists(
    st.tuples(
        st.none() | st.sampled_from(["hall1", "door2"]),
        st.frozensets(st.sampled_from(sorted(ATTR_LITE))),
        st.sampled_from(["crash", "sent", "born"]),
    ),
    max_size=6,
)


@given(wishes)
def test_whatever_was_wanted_each_series_keeps_the_rules_and_ends_with_what_is_wanted(
    wishes: list[tuple[str | None, frozenset[str], str]],
) -> None:
    manifest, seen = Manifest(), set[str]()
    for device_id, names, end in wishes:
        wanted = None if device_id is None else discovery(card(device_id=device_id), sorted(names))
        manifest = manifest.announcing(wanted, frozenset())
        steps = manifest.series()
        assert series_faults(timed(steps)) == []
        final = {step.topic: step.payload for step in steps}
        assert {topic for topic, payload in final.items() if payload} == ({wanted.topic} if wanted else set())
        if wanted is not None:
            assert final[wanted.topic] == wanted.payload
            seen |= {wanted.topic}
        assert set(final) <= seen
        if end == "born":
            manifest = Manifest(current=manifest.current)
            seen = {wanted.topic} if wanted else set()
        else:
            assert set(final) == seen


def test_the_file_is_its_owners_alone_and_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / MANIFEST_NAME
    manifest = Manifest(
        FEWER, {"wearing_hat": dict(ALL.components["wearing_hat"])}, {"t": ALL.document}, RETAINED
    )
    write_manifest(path, manifest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_manifest(path) == manifest
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_file_nothing_was_announced(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_text(EMPTY, "utf-8")
    assert read_manifest(tmp_path / MANIFEST_NAME) == Manifest()
    assert read_manifest(tmp_path / "none") == Manifest()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", "[" * 100_000, EMPTY.replace("/1", "/2"), EMPTY + " " * MAX_MANIFEST_BYTES,
        '{"v":"lsi.announced/1","current":{"topic":"t","document":{}},"leaving":{},"gone":{},"retained":[],"stale":[]}',
        '{"v":"lsi.announced/1","current":null,"leaving":{},"gone":{},"retained":[1],"stale":[]}',
        '{"v":"lsi.announced/1","current":null,"leaving":{},"gone":{"":{"cmps":{}}},"retained":[],"stale":[]}',
        '{"v":"lsi.announced/1","current":null,"leaving":{},"gone":{"t":3},"retained":[],"stale":[]}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_manifest_is_said_and_does_not_stop_a_sensor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    path = tmp_path / MANIFEST_NAME
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="is no record"):
        read_manifest(path)
    with caplog.at_level(logging.WARNING):
        device = announced(tmp_path)
    assert "may stay" in caplog.text
    assert len(device.announce(ALL, RETAINED)) == 1
    assert read_manifest(path).current == ALL


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_manifest(tmp_path)


def test_a_disk_that_fails_is_said_and_does_not_stop_a_sensor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = Announced(tmp_path / "no folder" / MANIFEST_NAME)
    with caplog.at_level(logging.WARNING):
        assert len(device.announce(ALL, RETAINED)) == 1
    assert "was not written" in caplog.text
    assert device.manifest.current == ALL


def test_a_step_shows_where_it_goes_and_not_what_it_says() -> None:
    assert repr(Step(2.0, "t", b"abc")) == "Step(+2 s, t, 3 bytes)"


def test_a_discovery_that_was_read_back_is_equal_to_the_one_written(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m", Manifest(ALL))
    read = read_manifest(tmp_path / "m").current
    assert isinstance(read, Discovery)
    assert read.payload == ALL.payload
