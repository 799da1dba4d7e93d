"""How fast the paper's encoder runs as an int8 file, against its peers in the same run.

One thread, models in turn, medians of CPU time. The float32 peer is the plain lowering of the official
arithmetic, query, key and softmax included. The PyTorch peer is ``training.paper.paper_encoder`` with the
head, in eager mode; it computes no query and key, so it is the harder one. The floor is one int8
FULLY_CONNECTED with the same number of weight bytes: it uses each of them once, the output block 18 times.

    python -m benchmarks.encoder --json
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.paper_rig import THREADS, D, Model, contents, medians_ms, one_fully_connected, output_block
from benchmarks.report import Figure, report
from export.paper_export import paper_model, plain_encoder, simplified
from export.paper_static import static_model
from export.paper_tflite import Grouping, Recipe, tflite_model
from tests.training.paper_golden import golden_measurements, golden_weights
from training.paper.paper_weights import HEAD_ATTRIBUTES, PaperWeights

ROUNDS: Final = 20
GOAL_VS_FLOAT32: Final = 15.0
GOAL_VS_TORCH: Final = 10.0
GOAL_VS_FLOOR: Final = 1.4
KIB_PER_MB: Final = 1e6 / 1024
FOUR_ATTRIBUTES: Final = HEAD_ATTRIBUTES[:4]
_LOAD: Final = """
import os, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
if sys.argv[1] != os.devnull:
    interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
    interpreter.allocate_tensors()
    interpreter.invoke()
status = open("/proc/self/status").read()
print(status.split("VmHWM:")[1].split()[0])
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoder", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    weights = golden_weights(D)
    models = _models(weights)
    runs: dict[str, Callable[[], Any]] = {name: Model(content).invoke for name, content in models.items()}
    times = medians_ms(runs | _torch_eager(weights), parsed.rounds)
    print(report("encoder", [*_ratios(times), _memory(models["int8"])], as_json=parsed.json))
    return 0


def _models(weights: PaperWeights) -> dict[str, bytes]:
    plain = plain_encoder(weights)
    program = simplified(plain)
    int8 = tflite_model(program, Recipe.INT8)
    return {
        "int8": int8,
        "float32_unsimplified": tflite_model(plain, Recipe.FLOAT32),
        "float32": tflite_model(program, Recipe.FLOAT32),
        "int8_fully_connected_only": tflite_model(program, Recipe.INT8, Grouping.FULLY_CONNECTED),
        "int8_attributes_only": paper_model(weights, Recipe.INT8, FOUR_ATTRIBUTES),
        "int8_static": static_model(program, golden_measurements(D)),
        "output_block": tflite_model(output_block(program), Recipe.INT8),
        "floor": one_fully_connected(contents(int8).int8_bytes),
    }


def _torch_eager(weights: PaperWeights) -> dict[str, Callable[[], Any]]:
    """The PyTorch peer, or nothing where PyTorch is not installed."""
    try:
        import torch  # noqa: PLC0415 - optional here

        from training.paper.paper_encoder import PaperEncoder  # noqa: PLC0415 - imports torch
    except ImportError:
        print("torch_eager: skipped, PyTorch is not installed", file=sys.stderr)
        return {}
    torch.set_num_threads(THREADS)
    encoder = PaperEncoder.from_weights(weights).eval()
    head = torch.tensor(weights.head_weight), torch.tensor(weights.head_bias)
    measurement = torch.zeros(1, D)

    def run() -> None:
        with torch.inference_mode():
            torch.nn.functional.linear(encoder(measurement).flatten(1), *head)

    return {"torch_eager": run}


def _ratios(times: dict[str, float]) -> list[Figure]:
    int8_ms = times["int8"]
    beside = {f"{name}_ms": value for name, value in times.items()}
    float32 = times["float32_unsimplified"] / int8_ms
    floor = int8_ms / times["floor"]
    figures = [
        Figure(
            "int8_vs_float32_tflite", float32, "times faster", f"at least {GOAL_VS_FLOAT32:g}",
            float32 >= GOAL_VS_FLOAT32,
            {"at_the_floor": times["float32_unsimplified"] / times["floor"], **beside},
        ),
        Figure(
            "int8_vs_floor", floor, "ratio of time", f"at most {GOAL_VS_FLOOR:g}", floor <= GOAL_VS_FLOOR,
            {
                "fully_connected_only": times["int8_fully_connected_only"] / times["floor"],
                "attributes_only": times["int8_attributes_only"] / times["floor"],
                "static": times["int8_static"] / times["floor"],
                "floor_and_output_block": 1 + times["output_block"] / times["floor"],
            },
        ),
        Figure("int8_vs_simplified_float32", times["float32"] / int8_ms, "times faster", None, None, {}),
    ]  # fmt: skip
    if "torch_eager" in times:
        eager = times["torch_eager"] / int8_ms
        goal = f"at least {GOAL_VS_TORCH:g}"
        figures.append(Figure("int8_vs_torch_eager", eager, "times faster", goal, eager >= GOAL_VS_TORCH, {}))
    return figures


def _memory(model: bytes) -> Figure:
    """Peak memory of a process that loads the file and runs it once, beside one that only imports."""
    with tempfile.TemporaryDirectory(prefix="lsi-bench-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(model)
        peak, imports = (_peak_mb(each) for each in (path, Path(os.devnull)))
    return Figure("official_rss_mb", peak, "MB", None, None, {"imports_only": imports})


def _peak_mb(path: Path) -> float:
    command = [sys.executable, "-c", _LOAD, str(path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own code
    return float(answer.stdout) / KIB_PER_MB


if __name__ == "__main__":
    sys.exit(main())
