"""Mode ``latent`` from light to a marked picture: sensor, broker, ``lsi open`` and ``lsi decode``."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_app import cli
from export.latent_bundle import export_latent_bundle
from export.write_bundle import Identity
from host.cli import main
from host.decoder.generator_file import save_generator
from host.decoder.latent_file import load_latents
from lab.broker import LoopbackBroker
from lab.signed_copy import SignedCopy, signed_copy
from lsi.attributes import AttributeSchema
from lsi.bundle import read_bundle
from lsi.host_keys import HostSecretKey, write_host_key
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey
from tests.export.latent_small import small_latent_checkpoint
from tests.host.decoder.small_generator import small_generator
from tests.transport.test_mqtt import Recorder, linked

EVERYBODY = AttributeSchema(("Smiling", "Eyeglasses"), (0.5, -0.5), -1e6)
"""Sees a face in any light."""


def bundle_of_the_generator(folder: Path) -> SignedCopy:
    form = small_generator().space.form
    checkpoint = replace(small_latent_checkpoint(), space=form, attributes=EVERYBODY)
    unsigned = folder / "latent-9.lsib"
    unsigned.write_bytes(
        export_latent_bundle(checkpoint, Identity("latent-9", "0.1.0", "2026-11-23")).content
    )
    (folder / "signed").mkdir()
    return signed_copy(unsigned, folder / "signed")


def config(folder: Path, signed: SignedCopy, host_key: Path, port: int) -> Path:
    path = folder / "config.toml"
    path.write_text(
        'device_id = "hall1"\nboard = "sim-mcp3208"\nstate = "state"\n'
        f"bundle = {json.dumps(str(signed.bundle))}\n"
        f'mqtt = {{ host = "127.0.0.1", port = {port}, tls = {{ mode = "off" }} }}\n'
        f"latent = {{ host_key = {json.dumps(str(host_key))} }}\n"
        'policy = { mode = "latent" }\nscan = { interval_s = 0.05 }\nhome_assistant = { enabled = false }\n'
        f"trust = {{ keys = [{json.dumps(str(signed.public_key))}] }}\n",
        "utf-8",
    )
    return path


def test_a_latent_leaves_sealed_and_becomes_a_picture_on_the_host_alone(
    fresh_mosquitto: LoopbackBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.cli_commands.policy_command.os.geteuid", lambda: 0)
    signed = bundle_of_the_generator(tmp_path)
    host_key, host_public = write_host_key(HostSecretKey.generate(dt.date.today()), tmp_path / "host")  # noqa: DTZ011 - of its day
    (tmp_path / "state").mkdir()
    _, device_public = write_key_pair(SecretKey.generate(), tmp_path / "state/device")
    where = str(config(tmp_path, signed, host_public, fresh_mosquitto.port))
    assert cli.main(["run", "--config", where, "--simulate", "--scans", "1"]) != 0  # nobody widened it yet
    assert cli.main(["policy", "--widen", "--config", where]) == 0
    reader = Recorder()
    with linked(fresh_mosquitto.port, "decoder", reader, subscriptions=["lsi/v1/hall1/latent"]):
        assert cli.main(["run", "--config", where, "--simulate", "--scans", "40"]) == 0
        sealed = reader.message().payload
    (tmp_path / "a.sealed").write_bytes(sealed)
    save_generator(small_generator(), tmp_path / "generator.npz")
    opened, pictures = tmp_path / "latents.npz", tmp_path / "pictures"
    device = f"hall1={device_public}"
    words = ["--key", str(host_key), "--device", device, "--out", str(opened)]
    assert main(["open", str(tmp_path / "a.sealed"), *words]) == 0
    space = read_bundle(signed.bundle).manifest.latent
    offsets = load_latents(opened, space).for_space(small_generator().space)
    assert offsets.shape[0] == 1
    assert np.abs(offsets).max() > 0
    assert offsets.astype("<f2").tobytes() not in sealed
    decode = ["--bundle", str(signed.bundle), "--generator", str(tmp_path / "generator.npz")]
    assert main(["decode", str(opened), *decode, "-o", str(pictures)]) == 0
    assert [path.name for path in pictures.iterdir()] == ["generated-00000.png"]
