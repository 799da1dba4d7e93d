"""A simulated sensor in mode ``latent``, for tests that follow its latents to the host."""

import datetime as dt
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge_app import cli
from export.latent_bundle import export_latent_bundle
from export.write_bundle import Identity
from lab.signed_copy import SignedCopy, signed_copy
from lsi.host_keys import HostSecretKey, write_host_key
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey
from training.latent.latent_checkpoint import LatentCheckpoint


@dataclass(frozen=True)
class LatentDevice:
    """``hall1`` and the keys that it and its host have; all paths."""

    config: Path
    bundle: Path
    host_key: Path
    public_key: Path

    def run(self, scans: int) -> int:
        """Scan so many times; the exit code of the service."""
        return cli.main(["run", "--config", str(self.config), "--simulate", "--scans", str(scans)])

    def widen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let it send latents, as root would."""
        monkeypatch.setattr("edge_app.cli_commands.policy_command.os.geteuid", lambda: 0)
        assert cli.main(["policy", "--widen", "--config", str(self.config)]) == 0


def latent_bundle(checkpoint: LatentCheckpoint, folder: Path) -> SignedCopy:
    """A signed bundle that takes anything for a face."""
    seen = replace(checkpoint.attributes, presence_threshold=-1e6)
    unsigned = folder / f"latent-{len(checkpoint.patterns)}.lsib"
    identity = Identity(unsigned.stem, "0.1.0", "2026-11-23")
    unsigned.write_bytes(export_latent_bundle(replace(checkpoint, attributes=seen), identity).content)
    (folder / "signed").mkdir()
    return signed_copy(unsigned, folder / "signed")


def latent_device(folder: Path, signed: SignedCopy, port: int) -> LatentDevice:
    """A device that talks to the broker on ``port``. Nobody widened its policy yet."""
    today = dt.date.today()  # noqa: DTZ011 - the device asks for a key of its day
    host_key, host_public = write_host_key(HostSecretKey.generate(today), folder / "host")
    (folder / "state").mkdir()
    _, device_public = write_key_pair(SecretKey.generate(), folder / "state/device")
    config = folder / "config.toml"
    config.write_text(
        'device_id = "hall1"\nboard = "sim-mcp3208"\nstate = "state"\n'
        f"bundle = {json.dumps(str(signed.bundle))}\n"
        f'mqtt = {{ host = "127.0.0.1", port = {port}, tls = {{ mode = "off" }} }}\n'
        f"latent = {{ host_key = {json.dumps(str(host_public))} }}\n"
        'policy = { mode = "latent" }\nscan = { interval_s = 0.05 }\nhome_assistant = { enabled = false }\n'
        f"trust = {{ keys = [{json.dumps(str(signed.public_key))}] }}\n",
        "utf-8",
    )
    return LatentDevice(config, signed.bundle, host_key, device_public)
