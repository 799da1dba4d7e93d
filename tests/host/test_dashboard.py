"""The page in headless Chromium, with real clicks; and what it refuses."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.broker import LoopbackBroker, loopback_broker
from lsi.problems import Problem
from lsi.rollback import ROLLBACK_TEXT, RollbackReason
from lsi.status import RollbackTold, SlotsTold
from lsi.update_state import UpdateState
from tests.browser import PHONE, WIDER, Browser, page_of, status_of, steady_port, until
from tests.host.devices import health
from tests.host.fleet_writer import STREAM, FleetWriter, fleet_writer
from tests.host.hostile_page import MARKUP

TURNED_AWAY = "Messages that were turned away"
MARKUPS = ["<script>window.hit=1<", '"><img src=x onerror=window.hit=1>', "<svg onload=window.hit=1>"]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def broker(mosquitto_path: str) -> Iterator[LoopbackBroker]:
    """A broker for the dashboard of this file."""
    with loopback_broker(mosquitto_path) as running:
        yield running


@pytest.fixture(scope="module")
def page_url(broker: LoopbackBroker) -> Iterator[str]:
    """A running dashboard; each test has devices of its own."""
    with page_of("-m", "host.cli", "dashboard", "--port", str(broker.port), "--tls", "off") as url:
        yield url


@pytest.fixture
def fleet(broker: LoopbackBroker) -> Iterator[FleetWriter]:
    """Speaks for devices."""
    with fleet_writer(broker.port) as writer:
        yield writer


def hits(browser: Browser) -> object:
    """What markup that was taken for markup would have left."""
    return browser.asked("return window.hit")


def find(browser: Browser, text: str) -> None:
    browser.named("search").send_keys(text)


def test_a_visitor_sees_the_fleet_finds_a_sensor_and_opens_its_history(
    page_url: str, fleet: FleetWriter, browser: Browser
) -> None:
    with browser.visit(page_url):
        for device_id in ("hall1", "hall2", "lab3"):
            fleet.everything(device_id)
        until(lambda: "Smiling yes" in browser.text("card-hall1"))
        words = ["online", "Eyeglasses -", "sim-mcp3208 (simulated)", "healthy: 1 scans", "visit start"]
        words += ["37 records wait on the device", "bundle attr-lite-16 0.1.0 (89abcdef)", "heard"]
        assert [word for word in words if word not in browser.text("card-hall1")] == []
        assert "online" in browser.text("summary")
        assert browser.text("broker") == ""

        browser.click("card-hall1", "History")
        until(lambda: browser.all("[data-testid=card-hall1] [data-testid=history] canvas"))
        browser.click("card-hall1", "What left the device")
        until(lambda: "attr" in browser.text("card-hall1") and "1 messages" in browser.text("card-hall1"))

        fleet.answer("hall1", is_smiling=False, seq=2)
        until(lambda: "Smiling no" in browser.text("card-hall1"))
        until(lambda: "2 messages" in browser.text("card-hall1"))

        find(browser, "lab3")
        until(lambda: not browser.all("[data-testid=card-hall1]"))
        assert browser.named("card-lab3").is_displayed()
        assert browser.severe() == []


def test_the_page_asks_nobody_else_and_has_no_switch_for_pictures_without_a_key(
    page_url: str, fleet: FleetWriter, browser: Browser
) -> None:
    with browser.visit(page_url):
        fleet.everything("alone")
        until(lambda: "Smiling yes" in browser.text("card-alone"))
        asked = {url.split("/")[2].split(":")[0] for url in browser.requests() if url[:2] in {"ht", "ws"}}
        assert asked == {"127.0.0.1"}
        assert browser.all("[data-testid=pictures]") == []
        assert browser.all("img") == []


def test_it_tells_what_is_staged_on_trial_and_why_a_device_went_back(
    page_url: str, fleet: FleetWriter, browser: Browser
) -> None:
    slots = SlotsTold(is_trial=True, security_epoch=3, highest_epoch=3, downgrades=0)
    with browser.visit(page_url):
        fleet.info("slots1", slots=slots)
        fleet.send("slots1/update", UpdateState("0.1.0", "0.2.0").encode(), retain=True)
        until(lambda: "0.2.0 is staged" in browser.text("card-slots1"))
        assert "bundle attr-lite-16 0.1.0 (89abcdef), on trial" in browser.text("card-slots1")

        going = UpdateState("0.1.0", "0.2.0", in_progress=True, percentage=40)
        fleet.send("slots1/update", going.encode(), retain=True)
        until(lambda: "0.2.0 is being installed (40 %)" in browser.text("card-slots1"))

        back = RollbackTold("attr-lite-16", "0.2.0", "0123abcd", RollbackReason.FEW_INFERENCES)
        fleet.info("slots1", slots=replace(slots, is_trial=False, downgrades=2, rollback=back))
        fleet.send("slots1/update", UpdateState("0.1.0", "0.1.0").encode(), retain=True)
        until(lambda: "went back from attr-lite-16 0.2.0 (0123abcd)" in browser.text("card-slots1"))
        shown = browser.text("card-slots1")
        assert ROLLBACK_TEXT[RollbackReason.FEW_INFERENCES] in shown
        assert "root lowered it 2 times" in shown
        assert [word for word in ("staged", "installed", "trial") if word in shown] == []


def test_only_what_needs_attention_and_what_is_open_stays_open(
    page_url: str, fleet: FleetWriter, browser: Browser
) -> None:
    with browser.visit(page_url):
        for device_id in ("need2", "need3"):
            fleet.everything(device_id)
        find(browser, "need")
        until(lambda: browser.text("card-need3") and not browser.all("[data-testid=card-hall1]"))
        browser.click("card-need3", "History")
        until(lambda: browser.all("[data-testid=card-need3] canvas"))
        fleet.everything("need1")
        until(lambda: "Smiling yes" in browser.text("card-need1"))
        order = [each.get_attribute("data-testid") for each in browser.all("[data-testid^=card-]")]
        assert order == ["card-need1", "card-need2", "card-need3"]
        assert browser.all("[data-testid=card-need3] canvas")[0].is_displayed()

        hot = replace(health(STREAM, 9, "need2"), problems=frozenset({Problem.HOT}), temperature_c=81.0)
        fleet.send("need2/health", hot.encode())
        until(lambda: "cool the board" in browser.text("card-need2"))
        assert "81 °C" in browser.text("card-need2")
        browser.named("troubled").click()
        until(lambda: len(browser.all("[data-testid^=card-]")) == 1)
        assert browser.named("card-need2").is_displayed()


def test_the_page_fits_a_phone(page_url: str, fleet: FleetWriter, browser: Browser) -> None:
    long = "a" * 32
    with browser.visit(page_url, PHONE):
        fleet.everything(long)
        back = RollbackTold("b" * 48, "1000.1000.1000", "0123abcd", RollbackReason.NO_ACKNOWLEDGEMENT)
        slots = SlotsTold(
            is_trial=True, security_epoch=2**31 - 1, highest_epoch=2**31 - 1, downgrades=9, rollback=back
        )
        fleet.info(long, slots=slots, bundle_name="c" * 48)
        ill = replace(health(STREAM, 9, long), problems=frozenset([*list(Problem)[:8], Problem.HOT]))
        fleet.send(f"{long}/health", ill.encode())
        fleet.send(f"{long}/{'x' * 200}", b"?")
        find(browser, "aaaa")
        until(lambda: "went back" in browser.text(f"card-{long}"))
        until(lambda: "cool the board" in browser.text(f"card-{long}"))
        browser.click("rejected", TURNED_AWAY)
        browser.click(f"card-{long}", "What left the device")
        until(lambda: "messages" in browser.text(f"card-{long}") and "xxxx" in browser.text("rejected"))
        browser.click(f"card-{long}", "History")
        until(lambda: browser.all(f"[data-testid=card-{long}] canvas"))
        assert browser.asked(WIDER) == []


def test_garbage_and_markup_from_the_broker_are_shown_as_text(
    page_url: str, fleet: FleetWriter, browser: Browser
) -> None:
    with browser.visit(page_url):
        fleet.everything("good1")
        for markup in MARKUPS:
            fleet.send(f"{markup}/attr", b"{}")
            fleet.send(f"good1/{markup}", b"{}")
            fleet.send("good1/attr", b'{"%s": 1}' % markup.replace('"', "'").encode())
            fleet.send("good1/info", b"\xff\xfe" + markup.encode())
        until(lambda: "Smiling yes" in browser.text("card-good1"))
        until(lambda: "messages rejected" in browser.text("summary"))
        browser.click("rejected", TURNED_AWAY)
        until(lambda: all(f"lsi/v1/{markup}/attr" in browser.text("rejected") for markup in MARKUPS))
        assert "not a documented topic" in browser.text("rejected")
        assert hits(browser) is None
        assert browser.all("[data-testid=rejected] img, [data-testid=rejected] svg[onload]") == []
        assert "Smiling yes" in browser.text("card-good1")
        assert browser.severe() == []


def test_markup_behind_the_border_is_text_too(browser: Browser) -> None:
    """No such name passes the schemas; the page does not rely on it."""
    with page_of("-m", "tests.host.hostile_page") as url, browser.visit(url):
        until(lambda: MARKUP in browser.driver.find_element("tag name", "body").text)
        (shown,) = browser.all("[data-testid^=card-]")
        for title in ("What left the device", "History"):
            shown.find_element("xpath", f".//*[text()='{title}']").click()
        browser.click("rejected", TURNED_AWAY)
        until(lambda: browser.all("[data-testid=history] canvas"))
        until(lambda: MARKUP[:40] in browser.text("rejected"))
        assert MARKUP in browser.text("bundle")
        assert MARKUP in browser.text("broker")
        assert MARKUP[:13] in shown.text.splitlines()[0]
        assert hits(browser) is None
        assert browser.all("img, svg[onload]") == []
        assert browser.severe() == []


def test_a_broker_that_goes_and_comes_back_is_told_of(mosquitto_path: str, browser: Browser) -> None:
    port = steady_port()
    words = ["-m", "host.cli", "dashboard", "--port", str(port), "--tls", "off"]
    with page_of(*words) as url, browser.visit(url):
        until(lambda: "broker" in browser.text("broker"))
        for _ in range(2):
            with loopback_broker(mosquitto_path, port), fleet_writer(port) as writer:
                until(lambda: not browser.text("broker"))
                writer.everything("steady")
                until(lambda: "Smiling yes" in browser.text("card-steady"))
            until(lambda: "No connection to the broker" in browser.text("broker"))
            assert "what is shown is old" in browser.text("broker")
            assert "Smiling yes" in browser.text("card-steady")
        assert browser.severe() == []


def test_a_request_under_a_foreign_name_is_refused(page_url: str) -> None:
    assert status_of(page_url) == 200
    assert status_of(page_url, "evil.example") == 400
    port = page_url.rstrip("/").rpartition(":")[2]
    assert status_of(page_url, f"localhost:{port}") == 200
