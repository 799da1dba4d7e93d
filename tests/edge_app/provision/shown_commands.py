"""The commands that the how-tos show, against the folders and the port of a test's desk."""

import argparse
import os
import sys
from pathlib import Path

from edge_app.cli_commands.doctor_tls_command import add_doctor_tls
from edge_app.cli_commands.mosquitto_config_command import add_mosquitto_config
from edge_app.cli_commands.provision_command import add_provision


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    add_provision(commands)
    add_mosquitto_config(commands)
    add_doctor_tls(commands.add_parser("doctor").add_subparsers(required=True))
    parsed = parser.parse_args([*arguments, *_of_the_desk(arguments[0])])
    code: int = parsed.command(parsed)
    return code


def _of_the_desk(command: str) -> list[str]:
    desk = Path(os.environ["DESK_FOLDER"])
    if command != "mosquitto-config":
        return ["--config", str(desk / "config.toml")]
    folder, version = str(desk / "broker"), os.environ["DESK_BROKER_VERSION"]
    place = ["--folder", folder, "--data", folder, "--listen", "127.0.0.1", "--port", os.environ["DESK_PORT"]]
    return [*place, "--broker-version", version]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
