"""Every command of ``lsi-edge``, in the order of its help."""

import argparse

from edge_app.cli_commands.bench_command import add_bench
from edge_app.cli_commands.bundle_command import add_bundle
from edge_app.cli_commands.calibrate_command import add_calibrate
from edge_app.cli_commands.clean_mqtt_command import add_clean_mqtt
from edge_app.cli_commands.doctor_command import add_doctor
from edge_app.cli_commands.mosquitto_config_command import add_mosquitto_config
from edge_app.cli_commands.policy_command import add_policy
from edge_app.cli_commands.provision_command import add_provision
from edge_app.cli_commands.rollback_app_command import add_rollback_app
from edge_app.cli_commands.run_command import add_run
from edge_app.cli_commands.scan_command import add_scan
from edge_app.cli_commands.selftest_command import add_selftest
from edge_app.cli_commands.show_config_command import add_show_config
from edge_app.cli_commands.wipe_command import add_wipe


def add_all(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare all commands."""
    add_run(commands)
    add_scan(commands)
    add_selftest(commands)
    add_calibrate(commands)
    add_bench(commands)
    add_bundle(commands)
    add_doctor(commands)
    add_policy(commands)
    add_provision(commands)
    add_mosquitto_config(commands)
    add_clean_mqtt(commands)
    add_wipe(commands)
    add_rollback_app(commands)
    add_show_config(commands)
