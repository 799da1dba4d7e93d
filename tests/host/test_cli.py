import json
import subprocess
import sys

import pytest

from host.cli import main
from lab.broker import LoopbackBroker, free_port
from tests.payloads import payload
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import LinkState, Message

COMMANDS = [
    "bundle",
    "demo",
    "evaluate",
    "export",
    "import-paper",
    "lab",
    "listen",
    "record",
    "report",
    "train",
    "worker",
]


def test_every_room_has_registered_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"\n    {command} " in shown for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_ends_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert "example: lsi " in capsys.readouterr().out.rpartition("\n\n")[2].lower()


def test_listening_without_a_broker_ends_with_code_6(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["listen", "--port", str(free_port()), "--tls", "off"])
    assert code == 6
    assert "Try: --broker, --port and --tls" in capsys.readouterr().err


def test_listening_to_a_distant_broker_without_tls_ends_with_code_3(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["listen", "--broker", "192.168.0.9", "--tls", "off"]) == 3
    assert "TLS is off" in capsys.readouterr().err


def test_listen_prints_what_a_device_publishes_and_ends_after_the_count(mosquitto: LoopbackBroker) -> None:
    writer = Recorder()
    port = str(mosquitto.port)
    arguments = ["listen", "--port", port, "--tls", "off", "--device", "hall1", "--count", "1", "--json"]
    with subprocess.Popen([sys.executable, "-m", "host.cli", *arguments], stdout=subprocess.PIPE) as listener:
        assert listener.stdout is not None
        assert json.loads(listener.stdout.readline()) == {"link": "online"}
        with linked(mosquitto.port, "hall1", writer) as link:
            assert writer.state() is LinkState.ONLINE
            link.publish(Message("lsi/v1/other/attr", payload(device_id="other").encode()))
            link.publish(Message("lsi/v1/hall1/attr", b"{}"))
            link.publish(Message("lsi/v1/hall1/attr", payload().encode()))
            lines = [json.loads(line) for line in listener.stdout]
        assert listener.wait(timeout=20) == 0
    assert "rejected" in lines[0]
    assert lines[1]["payload"] == json.loads(payload().encode())
    assert len(lines) == 2
