"""``lsi lab renders``: heads of a bank judged on renders, whose labels are exact."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from lab.heads_command import bench_of
from training.cli_commands.command_parts import check_limits, require_torch

HELP: Final = "judge the heads of a bank on renders with exact labels"
EXAMPLE: Final = (
    "Example: lsi lab renders latent64.npz --generator faces64.npz --heads heads64.npz "
    "--data synthetic128.npz --board hardware/boards/sim-mcp3208.toml"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi lab renders``."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("checkpoint", type=Path, help="of 'lsi train latent'")
    add("--generator", type=Path, required=True, metavar="FILE", help="the generator it was trained for")
    add("--heads", type=Path, required=True, metavar="FILE", help="of 'lsi lab heads'")
    add("--data", type=Path, required=True, metavar="FILE", help="renders with landmarks or classes")
    add("--board", type=Path, required=True, metavar="FILE", help="board file (TOML) whose sensor measures")
    add("--threads", type=int, default=2, metavar="N", help="threads of PyTorch (default 2)")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print one JSON object; a figure without label or head is ``null``.

    Raises:
        ConfigError: PyTorch is missing, or the bank is of another generator.
        DataError: A file cannot be used, or has no labels for these heads.
        ShapeMismatchError: The heads belong to another generator.
    """
    check_limits(arguments, {"threads": (1, 64)})
    require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from host.decoder.heads_file import load_heads  # noqa: PLC0415 - same
    from lab.renders import judged_on_renders  # noqa: PLC0415 - same
    from training.scores.figures import finite  # noqa: PLC0415 - beside the others

    torch.set_num_threads(arguments.threads)
    bench, heads = bench_of(arguments), load_heads(arguments.heads)
    figures = judged_on_renders(bench, heads, arguments.data)
    print(json.dumps(finite({"d": len(bench.checkpoint.patterns), **asdict(figures)})))
    return 0
