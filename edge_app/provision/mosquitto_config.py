"""Configuration and access rules of a mosquitto for sensors, for 2.0 and 2.1.

Everybody shows a client certificate; its common name is the user. A sensor's user is its device
id, the others are the three of ``Role``.
"""

import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from lsi.errors import ConfigError
from lsi.topics import ROOT
from transport.broker import TLS_PORT

DEFAULT_FOLDER: Final = Path("/etc/mosquitto/lsi")
DEFAULT_DATA: Final = Path("/var/lib/mosquitto")
CONFIG_NAME: Final = "mosquitto.conf"
RULES_NAME: Final = "lsi.acl"

AUTOSAVE_S: Final = 30
"""What a killed broker can lose of its sessions; stock mosquitto: 1800 s."""
MAX_PACKET_BYTES: Final = 262_144
"""Twenty times a discovery message of 40 attributes, ten times a sealed latent of 18 x 512."""
MAX_QUEUED: Final = 20_000
"""Per client; stock is 1000, which a reader that was away for a quarter of an hour overflows."""
FORGET_AFTER: Final = "14d"
LAST_PORT: Final = 65_535

DEVICE_WRITES: Final = (
    "availability",
    "info",
    "update",
    "attr",
    "event",
    "agg",
    "latent",
    "health",
    "ack/#",
)
DEVICE_READS: Final = ("cmd/#",)


class Version(StrEnum):
    """Which line of mosquitto; 2.1 takes its rules through a plugin."""

    V2_0 = "2.0"
    V2_1 = "2.1"


class Floor(StrEnum):
    """The oldest TLS that the broker speaks."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class Role(StrEnum):
    """Users that are no sensors. No sensor may bear one of these names."""

    HOME_ASSISTANT = "homeassistant"
    DECODER = "decoder"
    SINK = "sink"


@dataclass(frozen=True, slots=True)
class Access:
    """Levels below ``lsi/v1/<any device>/`` that a role may read and write."""

    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()


ACCESS: Final[Mapping[Role, Access]] = MappingProxyType(
    {
        Role.HOME_ASSISTANT: Access(("availability", "attr", "agg", "health", "update"), ("cmd/update",)),
        Role.DECODER: Access(("latent",)),
        Role.SINK: Access(
            ("availability", "info", "attr", "event", "agg", "health", "ack/replay"), ("cmd/replay",)
        ),
    }
)
"""Only the decoder reads sealed latents, and it reads nothing else."""


@dataclass(frozen=True, slots=True)
class BrokerSetup:
    """What differs from broker to broker.

    ``folder`` is where certificates and rules lie on the broker's machine, ``data`` where it keeps
    sessions. ``listen`` is an address to bind to, all without one. ``with_crl`` makes the broker
    read ``ca.crl``; it then starts only with that file. ``prefix`` is Home Assistant's.

    Raises:
        ConfigError: A value that would end its line in the file, a prefix with wildcards, a relative folder
            or no port.
    """

    version: Version = Version.V2_0
    floor: Floor = Floor.TLS_1_3
    folder: Path = DEFAULT_FOLDER
    data: Path = DEFAULT_DATA
    port: int = TLS_PORT
    listen: str = ""
    with_crl: bool = False
    prefix: str = "homeassistant"
    plugin: Path | None = None

    def __post_init__(self) -> None:
        for value in (self.folder, self.data, self.listen, self.prefix, self.plugin or ""):
            if not str(value).isprintable():
                found = f"{str(value)!r} cannot stand in a configuration file."
                raise ConfigError(found, hint="printable characters only.")
        if not self.prefix or set(self.prefix) & set("+# %"):
            raise ConfigError(f"{self.prefix!r} is no discovery prefix.", hint="homeassistant is usual.")
        if not self.folder.is_absolute() or not self.data.is_absolute():
            found = "Folders of the broker must be absolute: it is started elsewhere."
            raise ConfigError(found, hint=f"{DEFAULT_FOLDER}.")
        if not 1 <= self.port <= LAST_PORT:
            raise ConfigError(f"There is no port {self.port}.", hint=f"1 to 65535; {TLS_PORT} is usual.")


def broker_config(setup: BrokerSetup) -> str:
    """The whole ``mosquitto.conf``: one TLS listener, no anonymous clients, kept sessions."""
    folder = setup.folder
    lines = [
        f"# Made by lsi-edge mosquitto-config for mosquitto {setup.version}.",
        f"listener {setup.port} {setup.listen}".rstrip(),
        f"cafile {folder / 'ca.crt'}",
        f"certfile {folder / 'broker.crt'}",
        f"keyfile {folder / 'broker.key'}",
        *([f"crlfile {folder / 'ca.crl'}"] if setup.with_crl else []),
        "# Who has no certificate of this authority gets no connection; its common name is the user.",
        "require_certificate true",
        "use_identity_as_username true",
        f"tls_version tlsv{setup.floor}",
        "allow_anonymous false",
        "allow_zero_length_clientid false",
        *_rules_lines(setup),
        "",
        "persistence true",
        f"persistence_location {setup.data}/",
        f"autosave_interval {AUTOSAVE_S}",
        f"persistent_client_expiration {FORGET_AFTER}",
        f"max_queued_messages {MAX_QUEUED}",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "log_dest stderr",
    ]
    return "\n".join(lines) + "\n"


def access_rules(setup: BrokerSetup) -> str:
    """The rules: each sensor below its own id, the other users what their role needs."""
    prefix = setup.prefix
    lines = [
        "# Made by lsi-edge mosquitto-config. %u is the user: the common name of the certificate.",
        *_rules("pattern", "write", (f"{ROOT}/%u/{kind}" for kind in DEVICE_WRITES)),
        *_rules("pattern", "read", (f"{ROOT}/%u/{kind}" for kind in DEVICE_READS)),
        f"pattern write {prefix}/device/%u/config",
        "# Always Home Assistant's own topic. Mosquitto 2.0 warns that this line names no user: meant so.",
        "pattern read homeassistant/status",
    ]
    for role, access in ACCESS.items():
        lines += ["", f"user {role}"]
        lines += _rules("topic", "read", (f"{ROOT}/+/{kind}" for kind in access.reads))
        lines += _rules("topic", "write", (f"{ROOT}/+/{kind}" for kind in access.writes))
        if role is Role.HOME_ASSISTANT:
            # It clears the announcement of a device that its user deletes.
            lines += [f"topic readwrite {tree}/#" for tree in sorted({prefix, "homeassistant"})]
    return "\n".join(lines) + "\n"


def is_reserved(device_id: str) -> bool:
    """Whether a sensor of this name would be taken for another user."""
    return device_id in set(Role)


def default_plugin() -> Path:
    """Where Debian installs the plugin of 2.1, for a machine of our kind."""
    triplet = sysconfig.get_config_var("MULTIARCH") or "aarch64-linux-gnu"
    return Path(f"/usr/lib/{triplet}/mosquitto/mosquitto_acl_file.so")


def _rules_lines(setup: BrokerSetup) -> Sequence[str]:
    rules = setup.folder / RULES_NAME
    if setup.version is Version.V2_0:
        return (f"acl_file {rules}",)
    return (f"global_plugin {setup.plugin or default_plugin()}", f"plugin_opt_acl_file {rules}")


def _rules(kind: str, access: str, topics: Iterable[str]) -> list[str]:
    return [f"{kind} {access} {topic}" for topic in topics]
