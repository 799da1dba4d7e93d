"""``lsi demo --web`` in headless Chromium."""

import pytest

from tests.browser import PHONE, WIDER, Browser, page_of, until


@pytest.mark.browser
def test_the_page_shows_the_inside_of_a_simulation_and_says_so(mosquitto_path: str, browser: Browser) -> None:
    assert mosquitto_path
    with page_of("-m", "host.cli", "demo", "--web") as url:
        with browser.visit(url):
            until(lambda: "of 16 ratios" in browser.text("ratios"))
            assert "Simulation only" in browser.text("panel")
            until(lambda: "Smiling" in browser.text("leaving") or "no face" in browser.text("leaving"))
            until(lambda: "online" in browser.text("card-demo").lower())
            assert browser.severe() == []
        with browser.visit(url, PHONE):
            until(lambda: "of 16 ratios" in browser.text("ratios"))
            until(lambda: "Smiling" in browser.text("card-demo"))
            assert browser.asked(WIDER) == []
