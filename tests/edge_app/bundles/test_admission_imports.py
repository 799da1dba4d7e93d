"""What admitting a bundle does not load."""

import subprocess
import sys


def test_admitting_a_bundle_reads_neither_configuration_nor_rig() -> None:
    # A process that only runs a model starts without them: 3 MB and a sixth of its time.
    program = "import sys, edge_app.bundles.admission; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "lsi.bundle" in loaded
    assert (
        loaded
        & {
            "edge_app.settings.config",
            "edge_app.link.home_assistant",
            "firmware.rig",
            "paho",
            "transport.broker",
        }
        == set()
    )
