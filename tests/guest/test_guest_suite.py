"""Boots a guest with a kernel of its own and runs the ``inside_*.py`` beside this file there.

Slow (minutes, 210 MB the first time), so only with RUN_GUEST_SUITE=1; ``docs/reference/guest-suite.md``.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.environ.get("RUN_GUEST_SUITE") != "1", reason="slow: RUN_GUEST_SUITE=1 boots it")
def test_real_hidapi_gpiod_and_rpi_lgpio_pass_over_a_real_kernel() -> None:
    suite = subprocess.run(
        [ROOT / "tools/guest_suite.sh", sys.executable],
        check=False,
        capture_output=True,
        text=True,
        timeout=1_200,
    )
    assert suite.returncode == 0, suite.stdout + suite.stderr
