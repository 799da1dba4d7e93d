"""Pages in headless Chromium, with real clicks; and the processes that serve them."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    " disable-component-update disable-sync disable-dev-shm-usage window-size=1100,900"
)
TIMEOUT_S = 180
"""A page is there within seconds; on a machine that is busy with much else it took more than a minute."""

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
WIDER = """
return [...document.querySelectorAll('body *')].filter(each => each.getBoundingClientRect().right > 391)
    .map(each => `${each.tagName} ${each.className} ${each.getBoundingClientRect().right}`)
"""


class Browser:
    """One Chromium; each visit is in a tab of its own."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    @contextmanager
    def visit(self, url: str, metrics: Mapping[str, object] | None = None) -> Iterator[None]:
        """Open ``url``; on a screen of ``metrics``, if not on that of a desk. Visits may be nested."""
        before = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        self.logged("browser")
        self.logged("performance")
        if metrics is not None:
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", dict(metrics))
        self.driver.get(url)
        try:
            yield
        finally:
            self.driver.close()
            self.driver.switch_to.window(before)

    def all(self, selector: str) -> list[WebElement]:
        """Elements by CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def named(self, name: str) -> WebElement:
        """The element with this ``data-testid``."""
        return self.driver.find_element(By.CSS_SELECTOR, f'[data-testid="{name}"]')

    def asked(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - any JSON
        """What JavaScript on the page returns."""
        return self.driver.execute_script(script, *arguments)

    def text(self, name: str) -> str:
        """What elements with this ``data-testid`` show; empty without any."""
        script = "return [...document.querySelectorAll(arguments[0])].map(each => each.innerText).join(' ')"
        return str(self.asked(script, f'[data-testid="{name}"]'))

    def click(self, name: str, text: str) -> None:
        """Click on what reads ``text`` within the element called ``name``, out of the header's way."""
        target = self.named(name).find_element(By.XPATH, f".//*[text()='{text}']")
        self.asked("arguments[0].scrollIntoView({block: 'center'})", target)
        target.click()

    def logged(self, kind: str) -> list[dict[str, Any]]:
        """What Chromium noted since it was asked last."""
        found: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call] # has no types
        return found

    def severe(self) -> list[dict[str, Any]]:
        """Errors on the page."""
        return [entry for entry in self.logged("browser") if entry["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """Addresses that the page asked for since the last time."""
        events = [json.loads(entry["message"])["message"] for entry in self.logged("performance")]
        sent = [each for each in events if each["method"] == "Network.requestWillBeSent"]
        return [each["params"]["request"]["url"] for each in sent]


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser whose profile lies in ``folder``; the test is skipped where there is none."""
    if not CHROMIUM.exists() or not DRIVER.exists():
        pytest.skip("Chromium is not installed (apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in [*FLAGS.split(), f"user-data-dir={folder}"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options, Service(str(DRIVER)))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@contextmanager
def page_of(
    *words: str, cwd: Path | None = None, log: IO[bytes] | None = None, **environment: str
) -> Iterator[str]:
    """Run Python with ``words`` and ``--web-port``; yields the address of its page once it answers.

    ``cwd``, where its output goes, and more variables of its environment may be given.
    """
    with process_of(*words, cwd=cwd, log=log, **environment) as (url, _):
        yield url


@contextmanager
def process_of(
    *words: str, cwd: Path | None = None, log: IO[bytes] | None = None, **environment: str
) -> Iterator[tuple[str, int]]:
    """As :func:`page_of`, with the id of the process."""
    port = steady_port()
    # NiceGUI takes a process that was started by a test for a test of its own.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, *words, "--web-port", str(port)]
    with subprocess.Popen(command, env=own | environment, cwd=cwd, stdout=log, stderr=log) as process:
        url = f"http://127.0.0.1:{port}/"
        try:
            until(lambda: process.poll() is not None or status_of(url))
            yield url, process.pid
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT_S) in {0, 130}


def steady_port() -> int:
    """A free port below those of outgoing connections: nobody takes it by chance before it is used."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_000)))  # noqa: S311 - no secret
            port: int = probe.getsockname()[1]
            return port


def status_of(url: str, host: str = "127.0.0.1") -> int:
    """The status of a request under the name ``host``; 0 while nobody answers."""
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def until(is_done: Callable[[], object]) -> None:
    """Wait for something that happens elsewhere."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not is_done():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.05)
