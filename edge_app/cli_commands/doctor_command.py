"""``lsi-edge doctor``: what is plugged in, what is missing, and the command that mends it."""

import argparse
import json

from edge_app.cli_commands.doctor import Finding, Verdict, diagnose, is_healthy, to_document
from edge_app.cli_commands.doctor_facts import HostFacts, host_facts
from edge_app.cli_commands.doctor_tls_command import add_doctor_tls
from firmware.boards.board import Board, find_board

_SIGNS = {Verdict.OK: "ok", Verdict.WARNING: "warning", Verdict.PROBLEM: "PROBLEM"}


def add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to ``lsi-edge``."""
    doctor = commands.add_parser(
        "doctor",
        help="say what is plugged in, what is missing, and how to mend it",
        description="Looks, and drives nothing. Exit code 1 when something stops the board.",
        epilog="Example: lsi-edge doctor --board pi-dlpc900-mcp3208",
    )
    doctor.add_argument(
        "--board", metavar="NAME_OR_FILE", help="check what this board needs (default: a survey)"
    )
    doctor.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    add_doctor_tls(doctor.add_subparsers(metavar="tls"))
    doctor.set_defaults(command=doctor_command)


def doctor_command(parsed: argparse.Namespace) -> int:
    """Look at this machine; 0 when nothing stops the board, else 1.

    Raises:
        BoardConfigError: No such board, or its file cannot be used.
    """
    board = None if parsed.board is None else find_board(parsed.board)
    return report(host_facts(), board, as_json=parsed.json)


def report(facts: HostFacts, board: Board | None, *, as_json: bool) -> int:
    """Print the findings for ``board`` on the machine of ``facts``; returns the exit code."""
    findings = diagnose(facts, board)
    if as_json:
        print(json.dumps(to_document(findings, board)))
    else:
        print("\n".join(_lines(findings, board)))
    return 0 if is_healthy(findings) else 1


def _lines(findings: list[Finding], board: Board | None) -> list[str]:
    lines = []
    for finding in findings:
        lines.append(f"{_SIGNS[finding.verdict]:8} {finding.check:18} {finding.found}")
        if finding.fix:
            lines.append(f"{'':8} {'':18} fix: {finding.fix}")
    problems = sum(finding.verdict is Verdict.PROBLEM for finding in findings)
    what = "this machine" if board is None else f"board {board.name}"
    lines.append(f"{what}: {problems} problems" if problems else f"{what}: nothing stops it")
    return lines
