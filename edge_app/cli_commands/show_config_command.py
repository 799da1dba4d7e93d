"""``lsi-edge show-config``: what is in force."""

import argparse
import json
from dataclasses import asdict

from edge_app.cli_commands.command_parts import add_config
from edge_app.settings.config import AppConfig, load_config
from transport.broker import TlsSettings


def add_show_config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    show = commands.add_parser(
        "show-config",
        help="print the effective configuration; secrets are paths and stay paths",
        epilog="Example: lsi-edge show-config --config config.toml",
    )
    add_config(show)
    show.set_defaults(command=_show_config)


def _show_config(parsed: argparse.Namespace) -> int:
    print(json.dumps(_shown(load_config(parsed.config)), indent=2))
    return 0


def _shown(config: AppConfig) -> dict[str, object]:
    return {
        "device_id": config.device_id,
        "board": config.board,
        "bundle": None if config.bundle is None else str(config.bundle),
        "state": str(config.state),
        "mqtt": {
            "host": config.broker.host,
            "port": config.broker.port,
            "keepalive_s": config.broker.keepalive_s,
            "tls": "off" if config.broker.tls is None else _shown_tls(config.broker.tls),
        },
        "scan": {"interval_s": config.interval_s},
        "policy": {"mode": config.policy.mode, "attributes": sorted(config.policy.allowed)},
        "agg": {"window_s": config.agg.window_s, "epsilon": float(config.agg.epsilon)},
        "latent": {"host_key": None if config.host_key is None else str(config.host_key)},
        "trust": {
            "keys": [str(path) for path in config.trust.keys],
            "allow_unsigned": config.trust.allow_unsigned,
        },
    }


def _shown_tls(tls: TlsSettings) -> dict[str, str]:
    return {key: str(path) for key, path in asdict(tls).items() if path is not None}
