"""Mode ``latent`` from light to a marked picture: sensor, broker, ``lsi open`` and ``lsi decode``."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from host.cli import main
from host.decoder.generator_file import save_generator
from host.decoder.latent_file import load_latents
from lab.broker import LoopbackBroker
from lsi.bundle import read_bundle
from tests.export.latent_small import small_latent_checkpoint
from tests.host.decoder.small_generator import small_generator
from tests.latent_device import latent_bundle, latent_device
from tests.transport.test_mqtt import Recorder, linked


def test_a_latent_leaves_sealed_and_becomes_a_picture_on_the_host_alone(
    fresh_mosquitto: LoopbackBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = small_generator().space.form
    signed = latent_bundle(replace(small_latent_checkpoint(), space=form), tmp_path)
    device = latent_device(tmp_path, signed, fresh_mosquitto.port)
    assert device.run(scans=1) != 0  # nobody widened it yet
    device.widen(monkeypatch)
    reader = Recorder()
    with linked(fresh_mosquitto.port, "decoder", reader, subscriptions=["lsi/v1/hall1/latent"]):
        assert device.run(scans=40) == 0
        sealed = reader.message().payload
    (tmp_path / "a.sealed").write_bytes(sealed)
    save_generator(small_generator(), tmp_path / "generator.npz")
    opened, pictures = tmp_path / "latents.npz", tmp_path / "pictures"
    words = ["--key", str(device.host_key), "--device", f"hall1={device.public_key}", "--out", str(opened)]
    assert main(["open", str(tmp_path / "a.sealed"), *words]) == 0
    space = read_bundle(signed.bundle).manifest.latent
    offsets = load_latents(opened, space).for_space(small_generator().space)
    assert offsets.shape[0] == 1
    assert np.abs(offsets).max() > 0
    assert offsets.astype("<f2").tobytes() not in sealed
    decode = ["--bundle", str(signed.bundle), "--generator", str(tmp_path / "generator.npz")]
    assert main(["decode", str(opened), *decode, "-o", str(pictures)]) == 0
    assert [path.name for path in pictures.iterdir()] == ["generated-00000.png"]
