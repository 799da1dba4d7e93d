"""``AppConfig``: the operator's TOML file, checked and frozen."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from edge_app.disclosure.aggregate import DEFAULT_EPSILON, DEFAULT_WINDOW_S, AggRules
from edge_app.disclosure.debounce import Quorum
from edge_app.disclosure.live_state import LiveRules
from edge_app.disclosure.visits import VisitRules
from edge_app.link.home_assistant import DEFAULT_PREFIX, HEARTBEAT_S
from edge_app.rig.device_rig import DEFAULT_STATE
from edge_app.settings.configured_policy import configured_policy
from edge_app.settings.environment import overridden
from lsi.credentials import credential_path
from lsi.disclosure import DisclosurePolicy
from lsi.errors import AppConfigError
from lsi.schema import check
from lsi.toml_file import read_toml
from transport.broker import DEFAULT_KEEPALIVE_S, PORT, TLS_PORT, BrokerAddress, TlsSettings

DEFAULT_CONFIG: Final = Path("/etc/lsi/config.toml")
DEFAULT_INTERVAL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """Whose bundles this device runs.

    ``keys`` are files in minisign's public key format, none means that nobody is trusted.
    ``allow_unsigned`` is for development and works on a simulated board only.
    """

    keys: tuple[Path, ...] = ()
    allow_unsigned: bool = False


@dataclass(frozen=True, slots=True)
class HomeAssistantSettings:
    """Whether and how the sensor appears there by itself; ``name`` is the device id by default."""

    enabled: bool = True
    name: str | None = None
    prefix: str = DEFAULT_PREFIX


@dataclass(frozen=True, slots=True)
class AppConfig:
    """What the service needs to know. Paths are absolute.

    ``board`` is the name of a shipped board or a path that ends in ``.toml``.
    ``bundle`` is the factory's bundle: it runs while none is active in a slot.
    ``state`` is the folder of what the device keeps: key, calibration.
    ``interval_s`` is the pause between the starts of two scans. With ``every_scan`` each scan is told
    as it is, without debouncing: for benches. ``host_key`` is to whom latents are sealed.
    """

    device_id: str
    board: str
    bundle: Path | None
    broker: BrokerAddress
    policy: DisclosurePolicy
    interval_s: float
    state: Path = DEFAULT_STATE
    every_scan: bool = False
    live: LiveRules = field(default_factory=LiveRules)
    visits: VisitRules = field(default_factory=VisitRules)
    agg: AggRules = field(default_factory=AggRules)
    host_key: Path | None = None
    home_assistant: HomeAssistantSettings = field(default_factory=HomeAssistantSettings)
    trust: TrustSettings = field(default_factory=TrustSettings)


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> AppConfig:
    """Read the configuration at ``path``; variables of ``environ`` take the place of its keys.

    Raises:
        AppConfigError: Not readable, not TOML, a variable that names no key, or a key that is unknown,
            missing or wrong; the message names file and key.
        DisclosureError: The policy asks for more than its mode lets out.
    """
    document = read_toml(
        path,
        "Configuration",
        error=AppConfigError,
        hint="--config FILE (see docs/reference/configuration.md).",
    )
    document = overridden(document, environ)
    check(document, "app-config", error=AppConfigError, source=str(path))
    mqtt = document["mqtt"]
    tls = _tls(mqtt.get("tls", {"mode": "system"}), path.parent, environ)
    return AppConfig(
        device_id=document["device_id"],
        board=_board(document["board"], path.parent),
        bundle=_resolve(document["bundle"], path.parent) if "bundle" in document else None,
        broker=BrokerAddress(
            host=mqtt["host"],
            port=mqtt.get("port", PORT if tls is None else TLS_PORT),
            tls=tls,
            keepalive_s=mqtt.get("keepalive_s", DEFAULT_KEEPALIVE_S),
        ),
        policy=configured_policy(document, path.parent, _trust(document.get("trust", {}), path.parent).keys),
        state=_resolve(document.get("state", str(DEFAULT_STATE)), path.parent),
        every_scan=document.get("live", {}).get("every_scan", False),
        live=_live(document.get("live", {})),
        visits=_visits(document),
        agg=_agg(document.get("agg", {})),
        host_key=_resolve(document["latent"]["host_key"], path.parent) if "latent" in document else None,
        home_assistant=HomeAssistantSettings(**document.get("home_assistant", {})),
        interval_s=float(document.get("scan", {}).get("interval_s", DEFAULT_INTERVAL_S)),
        trust=_trust(document.get("trust", {}), path.parent),
    )


def _live(document: Mapping[str, Any]) -> LiveRules:
    return LiveRules(float(document.get("heartbeat_s", HEARTBEAT_S)), _quorum(document))


def _visits(document: Mapping[str, Any]) -> VisitRules:
    section = document.get("visits", {})
    times = {key: float(section[key]) for key in ("absence_s", "update_s") if key in section}
    interval_s = float(document.get("scan", {}).get("interval_s", DEFAULT_INTERVAL_S))
    return VisitRules(_quorum(section), **times).at_interval(interval_s)


def _agg(document: Mapping[str, Any]) -> AggRules:
    epsilon = Fraction(str(document["epsilon"])) if "epsilon" in document else DEFAULT_EPSILON
    return AggRules(document.get("window_s", DEFAULT_WINDOW_S), epsilon)


def _quorum(document: Mapping[str, Any]) -> Quorum:
    default = Quorum()
    return Quorum(document.get("agree", default.agree), document.get("of", default.of))


def _board(board: str, base: Path) -> str:
    return str(_resolve(board, base)) if board.endswith(".toml") else board


def _resolve(path: str, base: Path) -> Path:
    return (base / Path(path).expanduser()).resolve()


def _trust(document: Mapping[str, Any], base: Path) -> TrustSettings:
    keys = tuple(_resolve(key, base) for key in document.get("keys", []))
    return TrustSettings(keys, allow_unsigned=document.get("allow_unsigned", False))


def _tls(document: Mapping[str, str], base: Path, environ: Mapping[str, str]) -> TlsSettings | None:
    if document["mode"] == "off":
        return None
    files = {
        key: credential_path(value, environ) or _resolve(value, base)
        for key, value in document.items()
        if key.endswith("_file")
    }
    if document["mode"] == "system" and "ca_file" in files:
        found = "mqtt.tls: mode 'system' does not read ca_file."
        raise AppConfigError(found, hint="mode = 'file' to trust the certificates of ca_file.")
    return TlsSettings(
        files.get("ca_file"), files.get("cert_file"), files.get("key_file"), document.get("server_name")
    )
