"""The page in headless Chromium, with real clicks; and what it refuses."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from lab.broker import LoopbackBroker, free_port
from tests.host.devices import health, visit
from tests.lsi.test_status import INFO
from tests.payloads import payload
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import LinkState, Message
from transport.mqtt import MqttLink

STREAM = "0123456789abcdef"
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    " disable-component-update disable-sync"
)
TIMEOUT_S = 40
WIDER = """
return [...document.querySelectorAll('body *')].filter(each => each.getBoundingClientRect().right > 391)
    .map(each => `${each.tagName} ${each.className} ${each.getBoundingClientRect().right}`)
"""


@pytest.fixture
def page_url(fresh_mosquitto: LoopbackBroker) -> Iterator[str]:
    """A running dashboard."""
    port = free_port()
    options = ["--port", str(fresh_mosquitto.port), "--tls", "off", "--web-port", str(port)]
    # NiceGUI takes a process that was started by a test for a test of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "host.cli", "dashboard", *options]
    with subprocess.Popen(command, env=environment) as process:
        url = f"http://127.0.0.1:{port}/"
        until(lambda: answers(url))
        yield url
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) in {0, 130}


@contextmanager
def chromium(folder: Path, width: int, height: int) -> Iterator[webdriver.Chrome]:
    if not CHROMIUM.exists() or not DRIVER.exists():
        pytest.skip("Chromium is not installed (apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in [*FLAGS.split(), f"user-data-dir={folder}", f"window-size={width},{height}"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options, Service(str(DRIVER)))
    try:
        yield browser
    finally:
        browser.quit()


def answers(url: str, host: str = "127.0.0.1") -> int:
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def until(is_done: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not is_done():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def say(link: MqttLink, device_id: str, *, is_smiling: bool, seq: int) -> None:
    """Everything that one device tells, retained ones too."""
    topic = f"lsi/v1/{device_id}/"
    live = payload(device_id=device_id, seq=seq, attributes={"Smiling": is_smiling, "Eyeglasses": None})
    link.publish(Message(topic + "info", replace(INFO, device_id=device_id).encode(), retain=True))
    link.publish(Message(topic + "availability", b"online", retain=True))
    link.publish(Message(topic + "attr", live.encode()))
    link.publish(Message(topic + "event", visit(STREAM, device_id, seq=3).encode()))
    link.publish(Message(topic + "health", health(STREAM, 9, device_id, waiting=37).encode(), qos=0))
    link.publish(Message(topic + "attr", b"{}"))
    time.sleep(0.05)  # no more than ten are taken at once


def card(browser: webdriver.Chrome, device_id: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, f'[data-testid="card-{device_id}"]')


@pytest.mark.browser
def test_a_visitor_sees_the_fleet_finds_a_sensor_and_opens_its_history(
    page_url: str, fresh_mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    writer = Recorder()
    with linked(fresh_mosquitto.port, "w", writer) as link, chromium(tmp_path, 1100, 900) as browser:
        assert writer.state() is LinkState.ONLINE
        browser.get(page_url)
        for device_id in ("hall1", "hall2", "lab3"):
            say(link, device_id, is_smiling=True, seq=1)
        until(lambda: "3 of 3 online" in browser.page_source)
        until(lambda: "Smiling yes" in card(browser, "hall1").text)
        words = ["online", "Eyeglasses -", "sim-mcp3208 (simulated)", "37 records wait", "visit start"]
        assert [word for word in words if word not in card(browser, "hall1").text] == []
        assert "3 messages rejected" in browser.page_source

        card(browser, "hall1").find_element(By.XPATH, ".//*[text()='History']").click()
        until(lambda: card(browser, "hall1").find_elements(By.CSS_SELECTOR, "[data-testid=history] canvas"))
        card(browser, "hall1").find_element(By.XPATH, ".//*[text()='What left the device']").click()
        until(lambda: "attr" in card(browser, "hall1").text and "1 messages" in card(browser, "hall1").text)

        say(link, "hall1", is_smiling=False, seq=2)
        until(lambda: "Smiling no" in card(browser, "hall1").text)

        browser.find_element(By.CSS_SELECTOR, "[data-testid=search]").send_keys("lab")
        until(lambda: not browser.find_elements(By.CSS_SELECTOR, "[data-testid=card-hall1]"))
        assert card(browser, "lab3").is_displayed()
        assert [entry for entry in logged(browser, "browser") if entry["level"] == "SEVERE"] == []
        assert asked_hosts(browser) == {"127.0.0.1"}


def asked_hosts(browser: webdriver.Chrome) -> set[str]:
    """Where the page's requests went: nobody else learns that somebody looks at it."""
    events = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    sent = [each for each in events if each["method"] == "Network.requestWillBeSent"]
    urls = [each["params"]["request"]["url"] for each in sent]
    return {url.split("/")[2].split(":")[0] for url in urls if url.startswith(("http", "ws"))}


def logged(browser: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call] # has no types
    return found


@pytest.mark.browser
def test_the_page_fits_a_phone(page_url: str, fresh_mosquitto: LoopbackBroker, tmp_path: Path) -> None:
    writer = Recorder()
    with linked(fresh_mosquitto.port, "w", writer) as link, chromium(tmp_path, 500, 900) as browser:
        assert writer.state() is LinkState.ONLINE
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
        )
        browser.get(page_url)
        say(link, "a" * 32, is_smiling=True, seq=1)
        until(lambda: "1 of 1 online" in browser.page_source)
        until(lambda: "Smiling yes" in browser.page_source)
        assert browser.execute_script(WIDER) == []


@pytest.mark.browser
def test_a_request_under_a_foreign_name_is_refused(page_url: str) -> None:
    assert answers(page_url) == 200
    assert answers(page_url, "evil.example") == 400
    port = page_url.rstrip("/").rpartition(":")[2]
    assert answers(page_url, f"localhost:{port}") == 200
