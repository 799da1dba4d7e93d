"""``lsi-edge selftest``: the rig against the limits of its board file."""

import argparse
import json
from collections.abc import Sequence

from edge_app.cli_commands.command_parts import add_board, board_of, open_board
from firmware.selftest import Check, run_selftest
from lsi.errors import SelftestError


def add_selftest(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    selftest = commands.add_parser(
        "selftest",
        help="hold the rig against the limits of its board file",
        description="Shows nine evenly spread patterns and measures dark, noise, full-on, linearity, balance "
        "of the arms and whole passes. Put an evenly lit white card into the field; stop the service.",
        epilog="Example: lsi-edge selftest --board pi-dlpc900-mcp3208",
    )
    add_board(selftest)
    selftest.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    selftest.set_defaults(command=_selftest)


def _selftest(parsed: argparse.Namespace) -> int:
    board = board_of(parsed)
    with open_board(board, parsed.state) as rig:
        checks = run_selftest(rig)
    print(_document(board.name, checks) if parsed.json else _table(checks))
    failed = [check for check in checks if not check.holds]
    if failed:
        found = (
            f"{len(failed)} of {len(checks)} checks do not hold: {', '.join(check.name for check in failed)}."
        )
        raise SelftestError(found, hint=failed[0].advice)
    return 0


def _document(board: str, checks: Sequence[Check]) -> str:
    rows = [
        {"name": each.name, "value": each.value, "limit": each.limit, "unit": each.unit, "holds": each.holds}
        for each in checks
    ]
    return json.dumps({"board": board, "holds": all(each.holds for each in checks), "checks": rows})


def _table(checks: Sequence[Check]) -> str:
    return "\n".join(_line(check) for check in checks)


def _line(check: Check) -> str:
    bound = ">=" if check.is_floor else "<="
    verdict = "ok " if check.holds else "BAD"
    line = f"{verdict}  {check.name:24} {check.value:10.4g} {bound} {check.limit:<8g} {check.unit}"
    return line if check.holds else f"{line}\n     Try: {check.advice}"
