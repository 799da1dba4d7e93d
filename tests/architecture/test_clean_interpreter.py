"""Fence 2, dynamic: a fresh interpreter measures and encodes, and has loaded nothing forbidden."""

import json
import subprocess
import sys
from pathlib import Path

from lab.signed_copy import SignedCopy

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "host", "training", "export", "lab",
    "torch", "torchvision", "PIL", "cv2", "skimage", "scipy", "matplotlib", "imageio", "tensorflow", "jax",
}  # fmt: skip

PROBE = """
import json, sys
from edge_app.cli import main
code = main([{arguments}])
print(json.dumps([code, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def loaded_after(arguments: list[str], before: str = "") -> tuple[int, set[str]]:
    program = before + PROBE.format(arguments=", ".join(map(repr, arguments)))
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    code, names = json.loads(result.stdout.splitlines()[-1])
    return code, set(names)


def test_a_simulated_scan_loads_nothing_forbidden() -> None:
    code, loaded = loaded_after(["scan", "--simulate", "--json"])
    assert code == 0
    assert "firmware" in loaded
    assert loaded & FORBIDDEN == set()


def test_a_running_service_loads_nothing_forbidden(signed: SignedCopy, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'device_id = "d"\nboard = "sim-mcp3208"\nbundle = {json.dumps(str(signed.bundle))}\n'
        f"trust = {{ keys = [{json.dumps(str(signed.public_key))}] }}\n"
        '[mqtt]\nhost = "127.0.0.1"\ntls = { mode = "off" }\n',
        "utf-8",
    )
    code, loaded = loaded_after(["run", "--config", str(config), "--simulate", "--print", "--scans", "1"])
    assert code == 0
    assert {"ai_edge_litert", "cryptography", "paho"} <= loaded
    assert loaded & FORBIDDEN == set()


def test_the_fence_goes_red_when_an_image_library_is_loaded() -> None:
    _, loaded = loaded_after(["scan", "--simulate", "--json"], before="import PIL.Image")
    assert loaded & FORBIDDEN == {"PIL"}
