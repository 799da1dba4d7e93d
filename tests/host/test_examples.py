"""The examples of the how-to, run as a reader would run them."""

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.broker import LoopbackBroker
from tests.payloads import payload
from tests.transport.test_mqtt import TIMEOUT_S, Recorder, linked
from transport.broker import LinkState, Message

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how-to/consume-attributes.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
NODE_MODULES = ROOT / ".node/node_modules"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@contextmanager
def running(command: list[str], *, is_shell: bool = False) -> Iterator["queue.Queue[str]"]:
    """The lines of a program that runs until it is told to end."""
    lines: queue.Queue[str] = queue.Queue()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "NODE_PATH": str(NODE_MODULES),
    }
    with subprocess.Popen(
        command[0] if is_shell else command,
        shell=is_shell,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        reading = threading.Thread(target=lambda: deque(map(lines.put, process.stdout or ()), maxlen=0))
        reading.start()
        try:
            yield lines
        finally:
            os.killpg(process.pid, 15)
            reading.join(TIMEOUT_S)


def said(lines: "queue.Queue[str]", broker: LoopbackBroker, word: str) -> str:
    """Publish until the program has said a line with ``word``: nobody tells when it has subscribed."""
    writer = Recorder()
    with linked(broker.port, "example-writer", writer) as link:
        assert writer.state() is LinkState.ONLINE
        for _ in range(10 * TIMEOUT_S):
            link.publish(Message("lsi/v1/hall1/attr", payload().encode()))
            try:
                while word not in (line := lines.get(timeout=0.1)):
                    pass
            except queue.Empty:
                continue
            return line
    raise AssertionError(word)


def on_port(text: str, broker: LoopbackBroker) -> str:
    return text.replace("1883", str(broker.port)).replace(
        'mqtt://127.0.0.1"', f'mqtt://127.0.0.1:{broker.port}"'
    )


@pytest.mark.parametrize(
    ("number", "word"), [(0, "Received(topic=Topic(device_id='hall1'"), (1, "hall1 {'Smiling'}")]
)
def test_the_python_examples_print_what_a_device_sends(
    number: int, word: str, fresh_mosquitto: LoopbackBroker
) -> None:
    with running([sys.executable, "-c", on_port(blocks("python")[number], fresh_mosquitto)]) as lines:
        assert word in said(lines, fresh_mosquitto, "hall1")


def test_the_shell_example_selects_with_jq(fresh_mosquitto: LoopbackBroker) -> None:
    for program in ("mosquitto_sub", "jq"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (apt install mosquitto-clients jq)")
    with running([on_port(blocks("sh")[0], fresh_mosquitto)], is_shell=True) as lines:
        assert said(lines, fresh_mosquitto, "hall1") == '{"dev":"hall1","smiling":true}\n'


def test_the_javascript_example_prints_what_a_device_sends(fresh_mosquitto: LoopbackBroker) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed (apt install nodejs)")
    if not (NODE_MODULES / "mqtt").is_dir():
        pytest.skip("mqtt.js is not installed (make test does it where npm is there)")
    with running([node, "-e", on_port(blocks("js")[0], fresh_mosquitto)]) as lines:
        assert said(lines, fresh_mosquitto, "hall1") == "hall1 [ 'Smiling' ]\n"


def test_the_readme_shows_the_same_three_lines() -> None:
    three = 'async for event in subscribe("mqtt://127.0.0.1"):'
    assert three in README
    assert three in blocks("python")[0]
