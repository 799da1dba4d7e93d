"""From the start of a process to the first inference of the attribute bundle, and its memory.

Every round is a process of its own. The floor is a process that only imports numpy and
the TFLite runtime.

    python -m benchmarks.start_up --json
"""

import argparse
import datetime as dt
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.report import Figure, report
from lab.bundles import shipped_bundle
from lsi.units import NS_PER_MS

ROUNDS: Final = 9
GOAL_MS: Final = 150.0
GOAL_MB: Final = 60.0
KIB_PER_MB: Final = 1024.0
_OURS: Final = "import benchmarks.start_up as b, sys; b.first_inference(sys.argv[1])"
_FLOOR: Final = "import numpy, ai_edge_litert.interpreter, benchmarks.start_up as b; b.tell()"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start_up", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    bundle = str(shipped_bundle())
    rounds = [[_in_a_process(program, bundle) for program in (_OURS, _FLOOR)] for _ in range(parsed.rounds)]
    (ours_ms, ours_mb), (floor_ms, floor_mb) = np.median(np.array(rounds), axis=0).tolist()
    figures = [
        Figure(
            name="start_to_first_inference_ms",
            value=ours_ms,
            unit="ms",
            goal=f"at most {GOAL_MS:g}",
            holds=ours_ms <= GOAL_MS,
            beside={"imports_of_numpy_and_runtime_ms": floor_ms},
        ),
        Figure(
            name="attribute_rss_mb",
            value=ours_mb,
            unit="MB",
            goal=f"at most {GOAL_MB:g}",
            holds=ours_mb <= GOAL_MB,
            beside={"imports_of_numpy_and_runtime_mb": floor_mb},
        ),
    ]
    print(report("start_up", figures, as_json=parsed.json))
    return 0


def first_inference(bundle: str) -> None:
    """Load the bundle with every check of the device, infer once, and tell time and memory."""
    from edge_app.bundles.admission import Terms, admit  # noqa: PLC0415 - the import is part of what is timed
    from lsi.disclosure import PayloadMode  # noqa: PLC0415 - same
    from lsi.measurement import Measurement  # noqa: PLC0415 - same

    terms = Terms((), True, frozenset({"two-arm"}), PayloadMode.ATTR_LITE, dt.datetime.now(dt.UTC).date())
    admitted = admit(Path(bundle), terms)
    values = admitted.bundle.golden.inputs[0]
    admitted.encoder.encode(Measurement(values, admitted.bundle.patterns.digest, 0, 0))
    tell()


def tell() -> None:
    """Print the time now and the largest resident size of this process."""
    print(time.monotonic_ns(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB)


def _in_a_process(program: str, bundle: str) -> tuple[float, float]:
    started_ns = time.monotonic_ns()
    told = subprocess.run([sys.executable, "-c", program, bundle], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    ended_ns, resident_mb = told.stdout.split()
    return (int(ended_ns) - started_ns) / NS_PER_MS, float(resident_mb)


if __name__ == "__main__":
    sys.exit(main())
