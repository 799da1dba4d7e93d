"""``lsi demo --web`` in headless Chromium."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from lab.broker import free_port
from tests.host.test_dashboard import TIMEOUT_S, answers, chromium, until


@pytest.mark.browser
def test_the_page_shows_the_inside_of_a_simulation_and_says_so(mosquitto_path: str, tmp_path: Path) -> None:
    assert mosquitto_path
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "host.cli", "demo", "--web", "--web-port", str(port)]
    with subprocess.Popen(command, env=environment) as process, chromium(tmp_path, 1100, 900) as browser:
        url = f"http://127.0.0.1:{port}/"
        until(lambda: answers(url))
        browser.get(url)

        def text(name: str) -> str:
            return " ".join(
                each.text for each in browser.find_elements(By.CSS_SELECTOR, f"[data-testid={name}]")
            )

        until(lambda: "of 16 ratios" in text("ratios"))
        assert "Simulation only" in text("panel")
        until(lambda: "Smiling" in text("leaving") or "no face" in text("leaving"))
        until(lambda: "online" in text("card-demo").lower())
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) in {0, 130}
