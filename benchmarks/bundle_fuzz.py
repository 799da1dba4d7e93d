"""Coverage-guided fuzzing of the bundle's parser with atheris: how much was tried, and what it found.

A finding is a crash, an exception that is none of the project's, or an input that takes longer than ten
seconds or more than 1 GB. Beside the edges reached stand those that the sound inputs of the start reach.

    python -m benchmarks.bundle_fuzz --seconds 600 --json
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, report

SECONDS: Final = 60
LONGEST_INPUT_S: Final = 10
LARGEST_MB: Final = 1024
MAX_INPUT_BYTES: Final = 1 << 15
_PROGRESS: Final = re.compile(r"#\d+\s+\w+\s+cov: (\d+) ft: (\d+)")
_STATISTIC: Final = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz and print; the answer is 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bundle_fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lsi-fuzz-") as folder:
        told = _fuzzed(Path(folder), parsed.seconds)
        findings = [path for path in Path(folder).glob("*-*") if not path.name.startswith("seed-")]
    print(report("bundle_fuzz", figures_of(told, len(findings)), as_json=parsed.json))
    if findings:
        print(told, file=sys.stderr)
    return 1 if findings else 0


def figures_of(told: str, findings: int) -> list[Figure]:
    """The figures in what the fuzzer said.

    Raises:
        ValueError: It did not come to an end.
    """
    executed, progress = _STATISTIC.search(told), _PROGRESS.findall(told)
    if executed is None or not progress:
        message = f"the fuzzer did not run: {told[-500:]}"
        raise ValueError(message)
    first, last = progress[0], progress[-1]
    beside = {"edges_of_the_seeds": float(first[0]), "features_of_the_seeds": float(first[1])}
    return [
        Figure("findings", findings, "inputs", "0", findings == 0, {}),
        Figure("executions", float(executed[1]), "inputs", None, None, {}),
        Figure("edges", float(last[0]), "edges", None, None, beside | {"features": float(last[1])}),
    ]


def _fuzzed(folder: Path, seconds: int) -> str:
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST_INPUT_S}",
        f"-rss_limit_mb={LARGEST_MB}",
        f"-max_len={MAX_INPUT_BYTES}",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/",
    ]
    corpus = folder / "corpus"
    corpus.mkdir()
    command = [sys.executable, "-m", "benchmarks.bundle_fuzz_target", *limits, str(corpus)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")  # noqa: S603 - ourselves
    return run.stderr


if __name__ == "__main__":
    sys.exit(main())
