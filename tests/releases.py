"""Releases of the shipped bundle, signed with a key of the run, and a device that trusts it."""

import json
from dataclasses import dataclass
from pathlib import Path

from lab.bundles import shipped_bundle
from lab.signed_copy import release_of
from lsi.bundle import open_bundle
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey

KEY = SecretKey(b"12345678", bytes(range(32)))


def release(folder: Path, version: str, epoch: int = 0, **manifest: object) -> Path:
    """The shipped bundle as ``version``."""
    path = folder / f"hall-{version}.lsib"
    path.write_bytes(
        release_of(open_bundle(shipped_bundle()), KEY, version=version, security_epoch=epoch, **manifest)
    )
    return path


@dataclass(frozen=True, slots=True)
class Device:
    """A device in a folder: configuration and state."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"


def device_in(folder: Path, *, factory: Path | None = None, port: int = 1883, extra: str = "") -> Device:
    """A device on the simulated board; nothing of it runs."""
    device = Device(folder)
    device.state.mkdir(parents=True, mode=0o700)
    if not (folder / "owner.pub").exists():
        write_key_pair(KEY, folder / "owner")
    bundle = "" if factory is None else f"bundle = {json.dumps(str(factory))}\n"
    device.config.write_text(
        f'device_id = "hall1"\nboard = "sim-mcp3208"\nstate = "state"\n{bundle}'
        f'mqtt = {{ host = "127.0.0.1", port = {port}, tls = {{ mode = "off" }} }}\n'
        f'scan = {{ interval_s = 0.05 }}\ntrust = {{ keys = ["owner.pub"] }}\n{extra}',
        "utf-8",
    )
    return device
