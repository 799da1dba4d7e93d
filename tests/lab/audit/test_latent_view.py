"""A latent bundle audited from its light to its page, with and without the generator that decodes it."""

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from export.latent_bundle import export_latent_bundle
from export.write_bundle import Identity
from firmware.boards.board import SIMULATED_BOARD, find_board
from host.decoder.decoder import OwnDecoder
from lab.audit.bench import Bench, set_up
from lab.audit.decoding import decoded_by
from lab.audit.document import complete
from lab.audit.examine import GENERATOR, examine
from lab.audit.narrowed import MOST_NUMBERS, Directions, narrowed
from lab.audit.page import page
from lab.audit.static import static_facts
from lab.audit.verdicts import Limits
from lab.audit.views import LATENT, MEASUREMENT, Subject
from lab.bundles import shipped_bundle
from lsi.bundle import Bundle, read_bundle
from lsi.errors import DataError
from lsi.patterns import PatternSet
from tests.export.latent_small import SHAPE, small_latent_checkpoint
from tests.host.decoder.small_generator import small_generator
from tests.lab.audit.crowd import faces_file, three_parts

GENERATED = OwnDecoder(small_generator())


@pytest.fixture(scope="module")
def latent_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    masks = np.random.default_rng(1).random((SHAPE.d, 64, 64)) < 0.5
    form = small_generator().space.form
    checkpoint = replace(small_latent_checkpoint(), patterns=PatternSet(masks), space=form)
    path = tmp_path_factory.mktemp("latent") / "latent-9.lsib"
    path.write_bytes(export_latent_bundle(checkpoint, Identity("latent-9", "0.1.0", "2026-11-23")).content)
    return read_bundle(path)


@pytest.fixture(scope="module")
def bench(latent_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("data")
    data, learn = faces_file(folder / "d.npz", 24, 2), faces_file(folder / "l.npz", 16, 2, seed=5)
    board = find_board(SIMULATED_BOARD)
    return set_up(Subject(latent_bundle), board, data, learn, 100, lambda _: lambda _done, _total: None)


@pytest.fixture(scope="module")
def examined(bench: Bench) -> dict[str, Any]:
    """Networks of the attackers are taught for a moment only: no figure of theirs is asked for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lab.audit.decoder.FEWEST_STEPS", 10)
        patched.setattr("lab.audit.embedding.FEWEST_STEPS", 10)
        return examine(bench, None, lambda _: None, decoded_by(GENERATED, bench.bundle))


def test_the_latent_of_the_device_is_attacked_as_whoever_opens_it_has_it(bench: Bench) -> None:
    sent, raw = bench.parts.report.views[LATENT], bench.parts.report.views[MEASUREMENT]
    layers, width = bench.bundle.manifest.latent.shape if bench.bundle.manifest.latent else (0, 0)
    assert sent.shape == (len(raw), layers * width)
    assert (sent == sent.astype(np.float16)).all()
    assert len(np.unique(sent, axis=0)) > len(sent) // 2


def test_a_latent_is_labelled_image_equivalent_and_finds_people_again(examined: dict[str, Any]) -> None:
    latent = examined["views"][LATENT]
    assert (latent["sent"], latent["image_equivalent"]) == (True, True)
    assert examined["views"]["attr-lite"]["image_equivalent"] is False
    seen = latent["identification"]
    assert seen["attackers"][seen["finder"]]["rank1_over_chance"] > 1.5
    raw = examined["views"][MEASUREMENT]["channel"]
    assert latent["channel"]["gaussian_bits"] == raw["gaussian_bits"]
    assert latent["channel"]["declared_bits"] == 16 * 4 * 6


def test_latents_are_decoded_by_the_generator_beside_what_is_learned(examined: dict[str, Any]) -> None:
    rebuilt = examined["views"][LATENT]["reconstruction"]
    assert {GENERATOR, "linear MMSE", "decoder", "mean face"} <= set(rebuilt["estimators"])
    assert GENERATOR not in rebuilt["trivial"]
    assert rebuilt["best"] != GENERATOR  # this one was never trained
    assert GENERATOR not in examined["views"][MEASUREMENT]["reconstruction"]["estimators"]


def test_the_page_says_image_equivalent_of_the_latent(bench: Bench, examined: dict[str, Any]) -> None:
    found = {
        "data": bench.document(), "sensor": "test", **examined, "averaging": [], "aggregation": None,
        "static": static_facts(bench.bundle),
    }  # fmt: skip
    document = complete(bench.bundle, found, Limits(), dt.date(2026, 11, 23))
    assert document["bundle"]["mode"] == "latent"
    text = page(document)
    assert "latent (image-equivalent)" in text
    assert "nothing is promised but the seal" in text


def test_guesses_of_the_generator_are_its_pictures_in_luminance(bench: Bench) -> None:
    form = bench.bundle.manifest.latent
    assert form is not None
    messages = bench.parts.report.views[LATENT][:3]
    guessed = decoded_by(GENERATED, bench.bundle)(messages)
    assert guessed.shape == (3, 64, 64)
    assert guessed.min() >= 0
    assert guessed.max() <= 1
    pictures = GENERATED.pictures(messages.astype(np.float32).reshape(3, *form.shape))
    # 8 px to 64 px: every 8 x 8 block is one pixel, green counting most.
    green = pictures[..., 1].astype(np.float64)
    blocks = guessed.reshape(3, 8, 8, 8, 8).mean(axis=(2, 4))
    assert np.corrcoef(blocks.ravel(), green.ravel())[0, 1] > 0.9


def test_the_generator_of_others_is_refused(latent_bundle: Bundle) -> None:
    with pytest.raises(DataError, match="was made for generator"):
        decoded_by(OwnDecoder(small_generator(seed=1)), latent_bundle)
    with pytest.raises(DataError, match="no latents"):
        decoded_by(GENERATED, read_bundle(shipped_bundle()))


def test_wide_messages_keep_what_tells_people_apart() -> None:
    parts = three_parts(20, 6, own=3.0)
    assert narrowed(parts, "numbers") is parts
    spread = np.random.default_rng(0).normal(size=(6, 3 * MOST_NUMBERS))
    wide = [
        replace(each, views={"numbers": each.views["numbers"] @ spread}) for each in (parts.learn, parts.tune)
    ]
    found = narrowed(replace(parts, learn=wide[0], tune=wide[1], report=wide[1]), "numbers")
    kept = found.tune.views["numbers"]
    assert kept.shape == (len(parts.tune), 6)
    wanted, distances = (
        ((values[:, None] - values) ** 2).sum(axis=2) for values in (wide[1].views["numbers"], kept)
    )
    assert distances == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_no_more_directions_are_kept_than_attackers_can_learn() -> None:
    noise = np.random.default_rng(0).normal(size=(600, MOST_NUMBERS + 40))
    noise[:, 0] *= 50
    directions = Directions.learned(noise)
    assert directions.of(noise).shape == (600, MOST_NUMBERS)
    assert abs(directions.axes[0, 0]) > 0.99
