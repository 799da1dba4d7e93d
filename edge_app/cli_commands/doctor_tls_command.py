"""``lsi-edge doctor tls``: say what the broker presents, what fails and how to mend it."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from edge_app.cli_commands.command_parts import add_config
from edge_app.cli_commands.doctor import Verdict
from edge_app.cli_commands.doctor_tls import Diagnosis, diagnose_tls
from edge_app.settings.config import load_config
from edge_app.wall_clock import utc_if_synced

_SIGNS: Final = {Verdict.OK: "ok", Verdict.WARNING: "warning", Verdict.PROBLEM: "PROBLEM"}


def add_doctor_tls(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str = "tls"
) -> None:
    """Add the command, to those of ``doctor`` or, under another name, to those of ``lsi-edge``."""
    doctor = commands.add_parser(
        name,
        help="say whether device and broker take each other's certificates, and why not",
        description="Connects to the configured broker and publishes nothing. Exit code 1 when the service "
        "could not connect.",
        epilog="Example: lsi-edge doctor tls --config /etc/lsi/config.toml",
    )
    add_config(doctor)
    doctor.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    doctor.set_defaults(command=doctor_tls_command)


def doctor_tls_command(parsed: argparse.Namespace) -> int:
    """Look at the broker; 0 when nothing stops a connection, else 1.

    Raises:
        ConfigError: The configuration cannot be used.
    """
    config = load_config(parsed.config)
    diagnosis = diagnose_tls(config.broker, config.device_id, utc_if_synced())
    if parsed.json:
        print(json.dumps(asdict(diagnosis) | {"healthy": diagnosis.is_healthy}))
    else:
        print("\n".join(_lines(diagnosis)))
    return 0 if diagnosis.is_healthy else 1


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    for number, certificate in enumerate(diagnosis.chain, 1):
        yield f"{number}. {certificate.subject}, signed by {certificate.issuer}"
        names = ", ".join(certificate.names) or "none"
        yield f"   {certificate.begins} to {certificate.expires}, names: {names}"
    for finding in diagnosis.findings:
        yield f"{_SIGNS[finding.verdict]:8} {finding.check:16} {finding.found}"
        if finding.fix:
            yield f"{'':8} {'':16} fix: {finding.fix}"
    result = "nothing stops it" if diagnosis.is_healthy else "the service cannot connect"
    yield f"{diagnosis.broker}: {result}"
