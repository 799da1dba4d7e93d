"""Every kind of file that we write, on the older runtime: right, or refused; never garbage.

The environment (tflite-runtime 2.14, NumPy 1, no ai-edge-litert) is made by ``make test``
where Python is 3.11, the last version that the older runtime has a wheel for.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.paper_export import simplified
from export.paper_program import results
from export.paper_static import static_model
from export.paper_tflite import Grouping, Recipe, tflite_model
from export.parity import run_model
from export.tflite_writer import float_model, int8_model, intervals_of
from lab.bundles import shipped_bundle
from lab.signed_copy import SignedCopy
from lsi.bundle import read_bundle
from tests.export.paper_small import measurements, small_plain
from tests.export.test_paper_tflite import run as run_here
from tests.training.tiny import measurements_for, random_read_out

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-tflite-runtime/bin/python"
Outputs = list[NDArray[np.float32]]

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="no environment with tflite-runtime (make test makes it with Python 3.11)"
)


class RefusedError(Exception):
    """The runtime did not load the file."""


def run_there(model: bytes, inputs: NDArray[np.float32], folder: Path) -> Outputs:
    (folder / "model.tflite").write_bytes(model)
    np.save(folder / "inputs.npy", inputs.astype(np.float32))
    files = [str(folder / name) for name in ("model.tflite", "inputs.npy", "outputs.npz")]
    script = str(ROOT / "tests/runtimes/run_model.py")
    run = subprocess.run([str(PYTHON), script, *files], capture_output=True, text=True, check=False)
    if run.returncode:
        raise RefusedError(run.stderr.strip().splitlines()[-1])
    with np.load(folder / "outputs.npz") as outputs:
        return [outputs[name] for name in outputs.files]


@pytest.mark.parametrize("recipe", ["float32", "int8"])
def test_a_read_out_gives_what_it_gives_here(recipe: str, tmp_path: Path) -> None:
    weights = random_read_out()
    inputs = measurements_for(weights, 50)
    model = (
        float_model(weights)
        if recipe == "float32"
        else int8_model(weights, intervals_of(weights.activations(inputs)))
    )
    (there,) = run_there(model, inputs, tmp_path)
    here = run_model(model, inputs)
    # One step of the last int8 range where kernels round a half differently.
    there = there[:, 0]
    assert np.abs(there - here).max() <= (1e-5 if recipe == "float32" else 0.02 * np.ptp(here))
    assert np.corrcoef(there.ravel(), here.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("bundle", sorted((ROOT / "bundles").glob("*.lsib")), ids=lambda path: path.stem)
def test_a_shipped_bundle_gives_its_golden_vectors(bundle: Path, tmp_path: Path) -> None:
    content = read_bundle(bundle)
    (there,) = run_there(content.model, content.golden.inputs, tmp_path)
    assert np.abs(there[:, 0] - content.golden.logits).max() <= content.golden.tolerance


def test_the_float_file_of_the_papers_encoder_computes_the_program(tmp_path: Path) -> None:
    program, inputs = simplified(small_plain()), measurements(8)
    found = run_there(tflite_model(program, Recipe.FLOAT32), inputs, tmp_path)
    for each, wanted in zip(found, results(program, inputs), strict=True):
        assert np.sqrt(np.mean((each - wanted) ** 2)) < 1e-5 * wanted.std()


@pytest.mark.parametrize("grouping", Grouping)
def test_the_int8_file_of_the_papers_encoder_is_refused_and_not_computed_wrongly(
    grouping: Grouping, tmp_path: Path
) -> None:
    model = tflite_model(simplified(small_plain()), Recipe.INT8, grouping)
    with pytest.raises(RefusedError, match="Registration failed"):
        run_there(model, measurements(2), tmp_path)


def test_the_static_int8_file_of_the_papers_encoder_is_right_there_too(tmp_path: Path) -> None:
    program, inputs = simplified(small_plain()), measurements(24)
    model = static_model(program, measurements(200))
    wanted = results(program, inputs)
    both = run_here(model, inputs), run_there(model, inputs, tmp_path)
    for here, there, exact in zip(*both, wanted, strict=True):
        spread = exact.std()
        assert np.sqrt(np.mean((there - exact) ** 2)) < 0.15 * spread
        assert np.sqrt(np.mean((there - here) ** 2)) < 0.1 * spread


def test_the_device_runs_on_it(signed: SignedCopy, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'device_id = "old1"\nboard = "sim-mcp3208"\nbundle = "{signed.bundle}"\n'
        'state = "state"\nlive = {every_scan = true}\n'
        f'[mqtt]\nhost = "127.0.0.1"\ntls = {{mode = "off"}}\n[trust]\nkeys = ["{signed.public_key}"]\n'
    )
    command = [str(PYTHON), "-m", "edge_app.cli", "run", "--config", str(config), "--print", "--scans", "2"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("/attr ") == 2
    there = subprocess.run(
        [str(PYTHON), "-c", "import ai_edge_litert"], capture_output=True, check=False, cwd=tmp_path
    )
    assert there.returncode != 0, "the newer runtime is there and was used"
    assert shipped_bundle().exists()
