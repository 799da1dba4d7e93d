"""The process that fuzzes until it finds something or its time is over; see ``benchmarks.bundle_fuzz``.

python -m benchmarks.bundle_fuzz_target -max_total_time=300 FOLDER
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lsi", "tarfile", "json"]):
    from benchmarks.bundle_fuzz_ways import seeds, try_one

if __name__ == "__main__":
    folder = Path(sys.argv[-1])
    for place, seed in enumerate(seeds()):
        (folder / f"seed-{place}").write_bytes(seed)
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
