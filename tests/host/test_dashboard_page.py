"""One visitor's page as the server holds it: no browser needed."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nicegui import Client, core, ui
from nicegui.element import Element
from nicegui.page import page

from host.cli import main
from host.dashboard_page import MAX_CARDS, WARNING, build_page
from host.fleet import DeviceState, Fleet
from host.live_pictures import LivePicture, LivePictures
from host.opener import Opener
from lsi.errors import AppConfigError
from tests import leaving
from tests.browser import steady_port
from tests.host.hostile_page import hostile_fleet
from tests.sealed import DEVICE_KEY, HOST


@contextmanager
def opened(fleet: Fleet, pictures: LivePictures | None = None) -> Iterator[Client]:
    """A page that somebody opened and has not closed yet."""
    with Client(page("")) as client:
        build_page(fleet, None, pictures)
    try:
        yield client
    finally:
        if not client.is_deleted:
            client.delete()


def on_a_loop(check: Callable[[], None]) -> None:
    async def run() -> None:
        core.loop = asyncio.get_running_loop()
        check()

    asyncio.run(run())


def named(client: Client, name: str) -> list[Element]:
    return [each for each in client.elements.values() if each.props.get("data-testid") == name]


def switch_of(client: Client) -> ui.switch:
    (found,) = named(client, "pictures")
    assert isinstance(found, ui.switch)
    return found


@pytest.fixture
def pictures() -> LivePictures:
    return LivePictures(Opener([HOST], {leaving.DEVICE: DEVICE_KEY.public_key}), {})


def fleet_of(*names: str) -> Fleet:
    fleet = Fleet()
    fleet.devices = {name: DeviceState(name) for name in names}
    return fleet


def test_without_a_key_there_is_no_switch_and_no_word_of_pictures() -> None:
    def check() -> None:
        with opened(fleet_of("hall1")) as client:
            assert named(client, "pictures") == []
            texts = [each.text for each in client.elements.values() if isinstance(each, ui.label)]
            assert "hall1" in texts
            assert [text for text in texts if "picture" in text.lower()] == []

    on_a_loop(check)


def test_the_switch_is_off_and_warns_and_only_its_own_page_shows_pictures(pictures: LivePictures) -> None:
    def check() -> None:
        fleet = fleet_of(leaving.DEVICE)
        with opened(fleet, pictures) as watching, opened(fleet, pictures) as other:
            assert not switch_of(watching).value
            labels = [each.text for each in watching.elements.values() if isinstance(each, ui.label)]
            assert WARNING in labels
            pictures.watch("somebody")
            pictures._seen[leaving.DEVICE] = LivePicture(b"PNG", "2026-01-01T12:00:00.000Z", 3)
            assert named(watching, "picture") == []
            switch_of(watching).value = True
            (shown,) = named(watching, "picture")
            assert shown.props["src"] == "data:image/png;base64,UE5H"
            assert named(other, "picture") == []
            switch_of(watching).value = False
            assert named(watching, "picture") == []

    on_a_loop(check)


def test_a_page_that_is_closed_watches_no_more(pictures: LivePictures) -> None:
    def check() -> None:
        with opened(fleet_of(leaving.DEVICE), pictures) as client:
            switch_of(client).value = True
            assert pictures.watched
            client.delete()
            assert not pictures.watched

    on_a_loop(check)


def test_nothing_of_a_device_is_markup() -> None:
    def check() -> None:
        with opened(hostile_fleet()) as client:
            elements = list(client.elements.values())
            assert len(elements) > 20
            assert [each for each in elements if {"innerHTML", "v-html"} & set(each.props)] == []
            assert [each for each in elements if isinstance(each, (ui.html, ui.markdown))] == []

    on_a_loop(check)


def test_a_thousand_devices_fill_the_page_once() -> None:
    def check() -> None:
        with opened(fleet_of(*(f"d{number:04}" for number in range(1_000)))) as client:
            cards = [
                each
                for each in client.elements.values()
                if str(each.props.get("data-testid")).startswith("card-")
            ]
            assert [each.props["data-testid"] for each in cards] == [
                f"card-d{n:04}" for n in range(MAX_CARDS)
            ]
            texts = [each.text for each in client.elements.values() if isinstance(each, ui.label)]
            assert f"{1_000 - MAX_CARDS} more; narrow the search." in texts

    on_a_loop(check)


def test_certificates_that_cannot_be_used_end_the_program_with_the_reason(tmp_path: Path) -> None:
    words = ["dashboard", "--ca-file", str(tmp_path / "no.pem"), "--web-port", str(steady_port())]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    ended = subprocess.run(
        [sys.executable, "-m", "host.cli", *words],
        env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert ended.returncode == AppConfigError.exit_code
    assert "TLS files cannot be used" in ended.stderr


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["dashboard", "--tls", "off", "--web-port", port]) == AppConfigError.exit_code
    assert f"Port {port} of this machine cannot be listened on" in capsys.readouterr().err
