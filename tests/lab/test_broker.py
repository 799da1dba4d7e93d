import socket
import sys
from pathlib import Path

import pytest

from lab.broker import LOOPBACK, find_mosquitto, free_port, loopback_broker
from lsi.errors import PublishError


def test_mosquitto_is_found_in_usr_sbin_too(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/usr/sbin/mosquitto").exists():
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_mosquitto() == "/usr/sbin/mosquitto"


def test_a_broker_listens_on_loopback_only_and_is_gone_afterwards() -> None:
    with (
        loopback_broker(mosquitto=None) as broker,
        socket.create_connection((broker.host, broker.port), timeout=5) as connection,
    ):
        assert connection.getpeername()[0] == LOOPBACK
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((broker.host, broker.port), timeout=5)


def test_a_broker_that_ends_at_once_says_why(tmp_path: Path) -> None:
    script = tmp_path / "broker"
    script.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('out of luck')\n")
    script.chmod(0o755)
    with pytest.raises(PublishError, match="out of luck"), loopback_broker(str(script), free_port()):
        pass


def test_without_any_broker_both_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.broker.find_spec", lambda _: None)
    with (
        pytest.raises(PublishError, match=r"apt install mosquitto, or pip install 'lsi-host\[demo\]'"),
        loopback_broker(),
    ):
        pass
