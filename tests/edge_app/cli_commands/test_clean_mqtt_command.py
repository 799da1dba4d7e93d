import argparse
from pathlib import Path
from typing import Any

import pytest

from edge_app.cli_commands import clean_mqtt_command
from edge_app.cli_commands.clean_mqtt_command import add_clean_mqtt, clean
from edge_app.link.announced import MANIFEST_NAME, Announced, Manifest, Step, read_manifest
from edge_app.link.home_assistant import discovery, retained_topics
from edge_app.rig.rig_lock import rig_lock
from lab.broker import LoopbackBroker, free_port
from lsi.errors import BusError, ConfigError, PublishError
from tests.edge_app.link.home_assistant_cards import ATTR_LITE_NAMES, card
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import LinkState, Message
from transport.outgoing import OnSettled, Outcome, Settled

OURS = discovery(card(), ATTR_LITE_NAMES)
RETAINED = retained_topics("hall1")
STEPS = Manifest(OURS).removal(RETAINED)
LINES = [OURS.topic, *sorted(RETAINED)]


class Line:
    """A broker's end that answers by topic; what it says of other topics is: accepted."""

    def __init__(self, answers: dict[str, Outcome] | None = None) -> None:
        self.sent: list[Message] = []
        self.answers = answers or {}

    def send(self, message: Message, on_settled: OnSettled) -> bool:
        self.sent.append(message)
        on_settled(self.answers.get(message.topic, Outcome(Settled.ACCEPTED)))
        return True


def run(folder: Path, port: int, *options: str) -> int:
    """The command as the command line runs it, for a device hall1 with a broker at ``port``."""
    config = folder / "config.toml"
    config.write_text(
        'device_id = "hall1"\nboard = "sim-mcp3208"\nbundle = "b.lsib"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\ntls = {{ mode = "off" }}\n',
        "utf-8",
    )
    parser = argparse.ArgumentParser()
    add_clean_mqtt(parser.add_subparsers())
    parsed = parser.parse_args(["clean-mqtt", "--config", str(config), "--state", str(folder), *options])
    code: int = parsed.command(parsed)
    return code


def announce(folder: Path) -> None:
    Announced(folder / MANIFEST_NAME).announce(OURS, RETAINED)


def retained(port: int, client_id: str) -> set[str]:
    """The topics that hold a message at the broker; a probe says when all have come."""
    reader, found = Recorder(), set[str]()
    with linked(port, client_id, reader, subscriptions=["#"]) as link:
        assert reader.state() is LinkState.ONLINE
        assert link.publish(Message("probe", b"x"))
        while (message := reader.message()).topic != "probe":
            found.add(message.topic)
    return found


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses of a removal take no time; their lengths are checked elsewhere."""

    def at_once(send: Any, steps: Any, tell: Any) -> None:  # noqa: ANN401 - handed on as they are
        clean(send, steps, tell, lambda _: None)

    monkeypatch.setattr(clean_mqtt_command, "clean", at_once)


@pytest.mark.usefixtures("no_wait")
def test_everything_of_the_device_and_nothing_else_leaves_the_broker(
    tmp_path: Path, fresh_mosquitto: LoopbackBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(tmp_path)
    others = {"lsi/v1/door2/info", "homeassistant/device/door2/config", "zigbee2mqtt/bridge/state"}
    writer = Recorder()
    with linked(fresh_mosquitto.port, "hall1", writer) as link:
        assert writer.state() is LinkState.ONLINE
        for topic in (*LINES, *others):
            assert link.publish(Message(topic, b"{}", retain=True))
    assert retained(fresh_mosquitto.port, "before") == {*LINES, *others}
    assert run(tmp_path, fresh_mosquitto.port) == 0
    assert retained(fresh_mosquitto.port, "after") == others
    assert capsys.readouterr().out.splitlines() == [
        f"removed {LINES[0]}",
        *(f"cleared {x}" for x in LINES[1:]),
    ]
    assert read_manifest(tmp_path / MANIFEST_NAME) == Manifest(gone={OURS.topic: OURS.document})
    assert run(tmp_path, fresh_mosquitto.port) == 0
    assert retained(fresh_mosquitto.port, "again") == others


@pytest.mark.usefixtures("no_wait")
def test_a_device_that_announced_nothing_clears_its_own_topics_and_leaves_no_file(
    tmp_path: Path, fresh_mosquitto: LoopbackBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, fresh_mosquitto.port) == 0
    assert capsys.readouterr().out.splitlines() == [f"cleared {x}" for x in LINES[1:]]
    assert not (tmp_path / MANIFEST_NAME).exists()


def test_a_dry_run_says_what_it_would_do_and_connects_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(tmp_path)
    before = (tmp_path / MANIFEST_NAME).read_bytes()
    assert run(tmp_path, free_port(), "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"would remove {LINES[0]}",
        *(f"would clear {topic}" for topic in LINES[1:]),
    ]
    assert (tmp_path / MANIFEST_NAME).read_bytes() == before


def test_a_broker_that_is_away_is_said_and_nothing_is_forgotten(tmp_path: Path) -> None:
    announce(tmp_path)
    with pytest.raises(PublishError, match="is away"):
        run(tmp_path, free_port())
    assert read_manifest(tmp_path / MANIFEST_NAME).current == OURS


def test_while_the_service_runs_the_command_is_refused(tmp_path: Path) -> None:
    with rig_lock(tmp_path), pytest.raises(BusError, match="Another program") as refused:
        run(tmp_path, free_port())
    assert "stop the service" in refused.value.hint


def test_a_state_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no folder"):
        run(tmp_path, free_port(), "--state", str(tmp_path / "none"))


def test_each_step_waits_for_its_time_and_for_the_brokers_answer() -> None:
    line, told, waits = Line(), list[Step](), list[float]()
    clean(line.send, STEPS, told.append, waits.append)
    assert waits == [step.delay_s for step in STEPS] == [0.0, 2.0, 0.0, 0.0, 0.0]
    assert line.sent == [step.message for step in STEPS]
    assert told == list(STEPS)


def test_a_refused_topic_is_named_in_the_end_and_the_others_are_still_cleared() -> None:
    line = Line({OURS.topic: Outcome(Settled.REFUSED, "Not authorized", 0x87)})
    told: list[Step] = []
    with pytest.raises(PublishError, match=r"refused homeassistant/device/hall1/config \(Not authorized\)"):
        clean(line.send, STEPS, told.append, lambda _: None)
    assert [step.topic for step in told] == sorted(RETAINED)


def test_a_broker_that_goes_away_ends_it_at_once() -> None:
    line = Line({min(RETAINED): Outcome(Settled.LOST, "connection lost")})
    with pytest.raises(PublishError, match="went away"):
        clean(line.send, STEPS, lambda _: None, lambda _: None)
    assert len(line.sent) == 3


@pytest.mark.parametrize(("taken", "reason"), [(False, "not connected"), (True, "no answer")])
def test_a_link_that_takes_nothing_or_never_answers_ends_it(
    monkeypatch: pytest.MonkeyPatch, taken: bool, reason: str
) -> None:
    monkeypatch.setattr(clean_mqtt_command, "ANSWER_TIMEOUT_S", 0.01)
    sent: list[Message] = []

    def send(message: Message, _: OnSettled) -> bool:
        sent.append(message)
        return taken

    with pytest.raises(PublishError, match=reason):
        clean(send, STEPS, lambda _: None, lambda _: None)
    assert sent == [STEPS[0].message]
