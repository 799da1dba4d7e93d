"""Our latent encoder as program, TFLite file and bundle, and on the device's own path."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge_app.bundles.admission import Terms, admit
from edge_app.inference.encoder import TfliteEncoder
from edge_app.inference.tflite_model import TfliteModel
from export.latent_bundle import export_latent_bundle, run_latent_model
from export.latent_program import latent_program
from export.paper_program import results
from export.write_bundle import Identity
from host.cli import main
from lsi.bundle import Bundle, GoldenOffsets, open_archive, parse_bundle, write_bundle
from lsi.disclosure import PayloadMode
from lsi.errors import BundleError, GoldenVectorError, ShapeMismatchError
from lsi.latent import LatentForm
from lsi.measurement import Measurement
from tests.export.latent_small import SHAPE, SPACE, small_encoder, small_latent_checkpoint
from training.latent.latent_checkpoint import save_latent_checkpoint

IDENTITY = Identity("latent-9", "0.1.0", "2026-11-23")


def _inputs(rows: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(2).uniform(-0.4, 0.4, (rows, SHAPE.d)).astype(np.float32)


def _bundle(*, is_float: bool = False) -> Bundle:
    exported = export_latent_bundle(small_latent_checkpoint(), IDENTITY, is_float=is_float)
    return parse_bundle(exported.content, "small.lsib")


def _measurement(bundle: Bundle, values: np.ndarray[Any, np.dtype[np.float32]]) -> Measurement:
    return Measurement(values, bundle.patterns.digest, 0, 1)


@torch.no_grad()
def _torch(inputs: np.ndarray[Any, np.dtype[np.float32]]) -> list[np.ndarray[Any, Any]]:
    return [each.numpy() for each in small_encoder()(torch.tensor(inputs))]


def test_the_program_computes_what_the_network_computes() -> None:
    inputs = _inputs(5)
    program = latent_program(small_latent_checkpoint().encoder, SHAPE)
    offsets, logits = results(program, inputs)
    wanted = _torch(inputs)
    assert np.allclose(offsets[:, 0], wanted[0], atol=2e-4)
    assert np.allclose(logits[:, 0], wanted[1], atol=2e-4)


def test_a_device_gets_the_float_models_offset_and_logits() -> None:
    bundle, values = _bundle(is_float=True), _inputs(1)[0]
    logits, offset = TfliteEncoder(bundle).encode_latent(_measurement(bundle, values))
    wanted = _torch(values[np.newaxis])
    assert offset.form == SPACE
    assert np.allclose(offset.values, wanted[0][0], atol=1e-3)
    assert np.allclose(logits.values, wanted[1][0], atol=1e-3)


def test_int8_weights_stay_near_float() -> None:
    bundle, inputs = _bundle(), _inputs(32)
    offsets, logits = run_latent_model(bundle.model, inputs)
    wanted = _torch(inputs)
    assert np.sqrt(np.square(offsets - wanted[0]).mean()) < 0.05 * np.sqrt(np.square(wanted[0]).mean())
    assert np.corrcoef(logits.ravel(), wanted[1].ravel())[0, 1] > 0.99
    assert len(bundle.model) < len(_bundle(is_float=True).model)


def test_the_manifest_names_the_latent_space_and_nothing_of_a_picture() -> None:
    bundle = _bundle()
    assert bundle.manifest.latent == SPACE
    assert bundle.manifest.mode == "latent"
    assert "image-equivalent" in bundle.card
    again = export_latent_bundle(small_latent_checkpoint(), IDENTITY)
    assert again.manifest.content_id == bundle.manifest.content_id


def test_golden_offsets_are_checked_at_load() -> None:
    bundle = _bundle()
    assert bundle.golden.offsets is not None
    values = bundle.golden.offsets.values.copy()
    values[1, 2, 3] += 10 * bundle.golden.offsets.tolerance
    golden = replace(bundle.golden, offsets=GoldenOffsets(values, bundle.golden.offsets.tolerance))
    with pytest.raises(GoldenVectorError, match="Golden offsets"):
        TfliteEncoder(replace(bundle, golden=golden))


def test_a_model_without_the_promised_offset_is_refused_and_one_with_another_too() -> None:
    bundle = _bundle()
    for latent in (None, LatentForm("small", 4, 5, "ab" * 32)):
        wrong = replace(bundle, manifest=replace(bundle.manifest, latent=latent))
        with pytest.raises(ShapeMismatchError, match="tensors"):
            TfliteModel(wrong)


def test_an_admitted_latent_bundle_may_run_in_a_narrower_mode(tmp_path: Path) -> None:
    path = tmp_path / "small.lsib"
    path.write_bytes(export_latent_bundle(small_latent_checkpoint(), IDENTITY).content)
    today = dt.date(2026, 11, 23)
    terms = Terms((), True, frozenset({"two-arm"}), PayloadMode.ATTR_LITE, today)
    admitted = admit(path, terms)
    logits = admitted.encoder.encode(_measurement(admitted.bundle, _inputs(1)[0]))
    assert set(logits.decisions()) == {"Smiling", "Eyeglasses"}


def test_the_command_writes_it_and_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_latent_checkpoint(small_latent_checkpoint(), tmp_path / "l.npz")
    words = ["export", str(tmp_path / "l.npz"), "-o", str(tmp_path / "l.lsib"), "--created", "2026-11-23"]
    assert main(words) == 0
    assert "image-equivalent" in capsys.readouterr().out
    bundle = parse_bundle((tmp_path / "l.lsib").read_bytes(), "l.lsib")
    assert bundle.manifest.name == "latent-9"


@pytest.mark.parametrize("change", [{"mode": "attr"}, {"latent": None}])
def test_mode_and_latent_space_belong_together(change: dict[str, Any]) -> None:
    content = export_latent_bundle(small_latent_checkpoint(), IDENTITY).content
    file = open_archive(content, Path("small.lsib"))
    with pytest.raises(BundleError, match="contradict"):
        parse_bundle(write_bundle(replace(file.manifest, **change), file.files), "small.lsib")
