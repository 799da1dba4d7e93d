"""Latents become pictures while somebody watches, and at no other time."""

import argparse
import asyncio
import datetime as dt
import io
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from host.cli import main
from host.decoder.generated_picture import BANNER_PX, SMALLEST_PX
from host.decoder.generator_file import save_generator
from host.live_pictures import NO_KEY, LivePicture, LivePictures, NoPicture
from host.opener import OpenedLatent, Opener
from host.picture_arguments import add_picture_arguments, pictures_of
from host.sealed_record import SealedRecord
from lsi.bundle import read_bundle
from lsi.errors import AppConfigError, ConfigError, KeyFileError, ShapeMismatchError
from lsi.host_keys import HostSecretKey, write_host_key
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey
from lsi.sealing import seal
from tests import leaving
from tests.bundles import small_bundle
from tests.export.latent_small import small_latent_checkpoint
from tests.host.decoder.small_generator import small_generator, some_offsets
from tests.latent_device import latent_bundle
from tests.sealed import DEVICE_KEY, HOST, LATENT, OTHER_HOST, envelope, header

PAGE = "page"
OPENED: list[OpenedLatent] = []


def remembered(opened: OpenedLatent) -> bytes:
    OPENED.append(opened)
    return b"PNG %d" % opened.header.seq


@pytest.fixture
def pictures() -> LivePictures:
    OPENED.clear()
    return LivePictures(Opener([HOST], {leaving.DEVICE: DEVICE_KEY.public_key}), {leaving.BUNDLE: remembered})


def latent(seq: int = 3, content: bytes | None = None) -> SealedRecord:
    return SealedRecord.decode(envelope(seq=seq) if content is None else content)


def work(pictures: LivePictures, *steps: Callable[[], object]) -> None:
    """Take the steps, with time between them to open and decode all that waits."""

    async def alongside() -> None:
        with ThreadPoolExecutor(1) as thread:
            for step in steps:
                step()
                await pictures.catch_up(thread)

    asyncio.run(alongside())


def test_nobody_watches_and_nothing_is_opened_or_kept(pictures: LivePictures) -> None:
    work(pictures, lambda: pictures.take(latent()))
    assert OPENED == []
    assert pictures.of(PAGE, leaving.DEVICE) is None
    work(pictures, lambda: pictures.watch(PAGE))
    assert pictures.of(PAGE, leaving.DEVICE) is None  # what came before is gone


def test_who_watches_sees_the_newest_latent(pictures: LivePictures) -> None:
    pictures.watch(PAGE)
    work(pictures, lambda: pictures.take(latent(3)), lambda: pictures.take(latent(4)))
    assert pictures.of(PAGE, leaving.DEVICE) == LivePicture(b"PNG 4", header().ts, 4)
    assert [len(each.values) for each in OPENED] == [2, 2]


def test_it_goes_on_by_itself(pictures: LivePictures) -> None:
    async def until_seen(seq: int) -> None:
        pictures.take(latent(seq))
        while f"seq={seq}" not in str(pictures.of(PAGE, leaving.DEVICE)):  # noqa: ASYNC110 - as a page does
            await asyncio.sleep(0.001)

    async def alongside() -> None:
        running = asyncio.create_task(pictures.run())
        async with asyncio.timeout(20):
            await until_seen(3)
            await until_seen(4)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    pictures.watch(PAGE)
    asyncio.run(alongside())


def test_one_that_came_while_there_was_no_time_is_passed_over(pictures: LivePictures) -> None:
    pictures.watch(PAGE)
    for seq in (3, 4):
        pictures.take(latent(seq))
    work(pictures, lambda: pictures.take(latent(5)))
    assert [each.header.seq for each in OPENED] == [5]


def test_another_page_that_did_not_switch_on_gets_nothing(pictures: LivePictures) -> None:
    pictures.watch(PAGE)
    work(pictures, lambda: pictures.take(latent()))
    assert pictures.of("another", leaving.DEVICE) is None


def test_the_last_one_to_leave_takes_everything_with_it(pictures: LivePictures) -> None:
    pictures.watch(PAGE)
    pictures.watch("another")
    work(pictures, lambda: pictures.take(latent()), lambda: pictures.leave(PAGE))
    assert pictures.of(PAGE, leaving.DEVICE) is None
    assert isinstance(pictures.of("another", leaving.DEVICE), LivePicture)
    work(pictures, lambda: pictures.leave("another"))
    assert pictures._seen == {}
    work(pictures, lambda: pictures.watch(PAGE))
    assert pictures.of(PAGE, leaving.DEVICE) is None


def test_a_picture_in_the_making_when_the_last_one_leaves_is_dropped() -> None:
    pages: list[LivePictures] = []

    def slow(opened: OpenedLatent) -> bytes:
        pages[0].leave(PAGE)
        return b"PNG %d" % opened.header.seq

    keys = Opener([HOST], {leaving.DEVICE: DEVICE_KEY.public_key})
    pages.append(LivePictures(keys, {leaving.BUNDLE: slow}))
    pages[0].watch(PAGE)
    work(pages[0], lambda: pages[0].take(latent()))
    assert pages[0]._seen == {}


def test_a_device_whose_key_was_not_given_is_told_of_and_not_kept(pictures: LivePictures) -> None:
    pictures.watch(PAGE)
    work(pictures, lambda: pictures.take(latent(content=envelope(device_id="lab2"))))
    assert pictures.of(PAGE, "lab2") == NoPicture(NO_KEY)
    assert pictures._seen == {}


def _forged() -> bytes:
    return seal(LATENT, header(), HOST.public_key, SecretKey.generate())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_forged(), "was not made by the device"),
        (envelope(bundle="00000000"), "made by bundle 00000000, which was not given"),
        (
            seal(LATENT, header(kid=OTHER_HOST.public_key.kid), OTHER_HOST.public_key, DEVICE_KEY),
            "sealed to key",
        ),
    ],
)
def test_what_cannot_be_opened_says_why(pictures: LivePictures, content: bytes, reason: str) -> None:
    pictures.watch(PAGE)
    work(pictures, lambda: pictures.take(latent(content=content)))
    seen = pictures.of(PAGE, leaving.DEVICE)
    assert isinstance(seen, NoPicture)
    assert reason in seen.reason


def test_an_envelope_that_is_sent_again_is_refused(pictures: LivePictures) -> None:
    pictures.watch(PAGE)
    again = envelope(seq=3)
    work(
        pictures,
        lambda: pictures.take(latent(content=again)),
        lambda: pictures.take(latent(content=again)),
    )
    assert [each.header.seq for each in OPENED] == [3]
    assert "here again" in str(pictures.of(PAGE, leaving.DEVICE))


def test_neither_repr_nor_log_holds_a_byte_of_it(
    pictures: LivePictures, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pictures.watch(PAGE)
    work(pictures, lambda: pictures.take(latent()), lambda: pictures.take(latent(content=_forged())))
    picture = LivePicture(b"secret", "2026-01-01T12:00:00.000Z", 3)
    assert "secret" not in repr(picture)
    assert [record for record in caplog.records if record.name != "asyncio"] == []


@pytest.fixture
def material(tmp_path: Path) -> dict[str, str]:
    """All four arguments."""
    space = small_generator().space.form
    signed = latent_bundle(replace(small_latent_checkpoint(), space=space), tmp_path)
    save_generator(small_generator(), tmp_path / "generator.npz")
    write_host_key(HOST, tmp_path / "host")
    write_key_pair(DEVICE_KEY, tmp_path / "device")
    return {
        "--key": str(tmp_path / "host.key"),
        "--device": f"{leaving.DEVICE}={tmp_path / 'device.pub'}",
        "--bundle": str(signed.bundle),
        "--generator": str(tmp_path / "generator.npz"),
    }


def given(material: dict[str, str]) -> LivePictures | None:
    parser = argparse.ArgumentParser()
    add_picture_arguments(parser)
    return pictures_of(parser.parse_args([word for pair in material.items() for word in pair]))


def sealed_by(bundle: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> SealedRecord:
    told = header(bundle=bundle, shape=values.shape, dtype="float32")
    return SealedRecord.decode(seal(values.astype("<f4").tobytes(), told, HOST.public_key, DEVICE_KEY))


def test_the_picture_is_the_decoders_marked_with_generated_d_and_bundle(material: dict[str, str]) -> None:
    pictures = given(material)
    assert pictures is not None
    manifest = read_bundle(Path(material["--bundle"])).manifest
    seen = pictures.develop(sealed_by(manifest.short_id, some_offsets(1)[0]))
    assert isinstance(seen, LivePicture)
    with Image.open(io.BytesIO(seen.png)) as image:
        shown, fields = np.asarray(image), dict(image.info)
    assert shown.shape == (SMALLEST_PX + 3 * BANNER_PX, SMALLEST_PX, 3)  # GENERATED, and two lines of maker
    assert "not evidence" in fields["Description"]
    assert fields["Source"] == f"{leaving.DEVICE} {leaving.STREAM} #3; 9 masks, {manifest.name} 0.1.0"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused_whoever_signed_them(
    material: dict[str, str], value: float
) -> None:
    pictures = given(material)
    assert pictures is not None
    offsets = some_offsets(1)[0]
    offsets[1, 2] = value
    seen = pictures.develop(sealed_by(read_bundle(Path(material["--bundle"])).manifest.short_id, offsets))
    assert isinstance(seen, NoPicture)
    assert "not finite" in seen.reason


def test_a_latent_of_another_shape_is_refused(material: dict[str, str]) -> None:
    pictures = given(material)
    assert pictures is not None
    bundle = read_bundle(Path(material["--bundle"])).manifest.short_id
    seen = pictures.develop(sealed_by(bundle, np.zeros((2, 8), np.float32)))
    assert "do not fit the latent space" in str(seen)


def test_without_any_of_it_there_are_no_pictures() -> None:
    assert given({}) is None


@pytest.mark.parametrize("left_out", ["--key", "--device", "--bundle", "--generator"])
def test_a_part_that_is_missing_is_named(material: dict[str, str], left_out: str) -> None:
    del material[left_out]
    with pytest.raises(AppConfigError, match=f"Pictures need {left_out} too"):
        given(material)


def test_a_secret_key_that_others_can_read_is_refused(material: dict[str, str]) -> None:
    Path(material["--key"]).chmod(0o644)
    with pytest.raises(KeyFileError):
        given(material)


def test_a_bundle_that_gives_no_latents_or_those_of_another_generator_is_refused(
    material: dict[str, str], tmp_path: Path
) -> None:
    attributes = tmp_path / "attributes.lsib"
    attributes.write_bytes(small_bundle())
    with pytest.raises(ConfigError, match="no latent bundle"):
        given(material | {"--bundle": str(attributes)})
    save_generator(small_generator(seed=1), tmp_path / "other.npz")
    with pytest.raises(ShapeMismatchError, match="another generator"):
        given(material | {"--generator": str(tmp_path / "other.npz")})


def test_the_command_says_so_before_it_serves(
    material: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    key = write_host_key(HostSecretKey.generate(dt.date(2026, 1, 1)), Path(material["--key"]).parent / "x")[0]
    assert main(["dashboard", "--tls", "off", "--key", str(key)]) == AppConfigError.exit_code
    assert "Pictures need --device, --bundle, --generator too" in capsys.readouterr().err
