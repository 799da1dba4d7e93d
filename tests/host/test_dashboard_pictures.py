"""Generated pictures on the page: none by default, none without a key, and gone when switched off."""

import base64
import io
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from host.decoder.generated_picture import BANNER_PX, SMALLEST_PX
from host.decoder.generator_file import save_generator
from lab.broker import LoopbackBroker
from tests.browser import Browser, page_of, until
from tests.export.latent_small import small_latent_checkpoint
from tests.host.decoder.small_generator import small_generator
from tests.host.fleet_writer import fleet_writer
from tests.latent_device import LatentDevice, latent_bundle, latent_device
from tests.sealed import envelope

pytestmark = pytest.mark.browser


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    """Random weights: what it shows is nobody."""
    path = tmp_path / "generator.npz"
    save_generator(small_generator(), path)
    return path


@pytest.fixture
def device(fresh_mosquitto: LoopbackBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LatentDevice:
    """A simulated sensor that sends latents of that generator."""
    checkpoint = replace(small_latent_checkpoint(), space=small_generator().space.form)
    made = latent_device(tmp_path, latent_bundle(checkpoint, tmp_path), fresh_mosquitto.port)
    made.widen(monkeypatch)
    return made


def words(device: LatentDevice, broker: LoopbackBroker, generator: Path) -> list[str]:
    """The command with all that pictures need."""
    keys = ["--key", str(device.host_key), "--device", f"hall1={device.public_key}"]
    pictures = [*keys, "--bundle", str(device.bundle), "--generator", str(generator)]
    return ["-m", "host.cli", "dashboard", "--port", str(broker.port), "--tls", "off", *pictures]


def sources(browser: Browser) -> list[str]:
    """What every picture element on the page shows."""
    found: list[str] = browser.asked("return [...document.querySelectorAll('img')].map(each => each.src)")
    return found


def decoded(source: str) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], dict[str, str]]:
    """Pixels and text fields of a picture within an address."""
    kind, _, data = source.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image), {str(name): str(value) for name, value in image.info.items()}


def sealed_latents(browser: Browser) -> int:
    """How many latents the page has told of; hidden text too."""
    found = re.search(r"latent +([0-9]+) messages", browser.asked("return document.body.textContent"))
    return int(found[1]) if found else 0


def test_a_picture_is_there_only_while_its_switch_is_on(
    generator: Path,
    device: LatentDevice,
    fresh_mosquitto: LoopbackBroker,
    browser: Browser,
    tmp_path: Path,
) -> None:
    (folder := tmp_path / "empty").mkdir()
    command = words(device, fresh_mosquitto, generator)
    with (tmp_path / "log").open("w+b") as log:
        with page_of(*command, cwd=folder, log=log, TMPDIR=str(folder)) as url, browser.visit(url):
            assert device.run(scans=30) == 0
            until(lambda: sealed_latents(browser))
            assert "no evidence" in browser.text("picture-switch")
            assert sources(browser) == []

            browser.named("pictures").click()
            assert device.run(scans=30) == 0
            until(lambda: sources(browser))
            shown = sources(browser)[0]
            assert_marked(shown)
            assert "Made by a generator, no evidence" in browser.text("card-hall1")
            with fleet_writer(fresh_mosquitto.port) as writer:
                writer.send("hall1/latent", envelope())
            until(lambda: "A latent is sealed to key" in browser.text("no-picture"))
            assert sources(browser) == []
            assert device.run(scans=30) == 0
            until(lambda: sources(browser))

            with browser.visit(url):  # each page has a switch of its own
                until(lambda: browser.text("card-hall1"))
                assert sources(browser) == []

            browser.named("pictures").click()
            until(lambda: not sources(browser))
            assert shown not in browser.driver.page_source
            browser.named("pictures").click()
            time.sleep(2)  # the page is brought up to date every second
            assert sources(browser) == []  # forgotten, not hidden
            assert browser.severe() == []
        log.seek(0)
        assert shown.partition(",")[2].encode()[:64] not in log.read()
    assert list(folder.iterdir()) == []


def assert_marked(source: str) -> None:
    """In pixels and in text fields."""
    pixels, fields = decoded(source)
    banner = pixels[SMALLEST_PX : SMALLEST_PX + BANNER_PX].reshape(-1, 3)
    assert (banner == (255, 214, 0)).all(axis=1).mean() > 0.5
    assert "not evidence" in fields["Description"]
    assert "9 masks, latent-9 0.1.0" in fields["Source"]
