"""What the two benchmarks of the paper's encoder share: weights, interpreters, and how they are timed.

No trained checkpoint is used. Weights follow the golden rule (``tests/training/paper_golden.py``), which
is harsher on int8 than a trained net is expected to be; a milder set has its matrices scaled by 0.8.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export.paper_export import simplified
from export.paper_plain import OFFSET, plain_program
from export.paper_program import Array, Op, Program, Step, row_parts, values_of
from export.tflite_graph import Graph
from export.tflite_operators import FULLY_CONNECTED_HYBRID_VERSION, LEFT_OUT, Linear, Operators
from export.tflite_writer import quantised_weights, weight_affine
from lsi.units import NS_PER_MS
from training.paper.paper_weights import STYLES, WIDTH, PaperWeights
from training.read_outs.read_out import Dense

D: Final = 64
MILD_GAIN: Final = 0.8
THREADS: Final = 1
WARM_UP: Final = 3
TIMED: Final = 5
"""Calls per turn that are dropped, and that count."""
INT8_STEPS: Final = 255
ENCODER_PREFIX: Final = "encoder."
"""Before the official name of each array in a file of trained weights."""
FLOOR_INPUTS: Final = 4352
"""About a square for the weights of the encoder; other shapes took 2 % to 16 % longer."""


class Model:
    """A TFLite model on one thread."""

    def __init__(self, content: bytes) -> None:
        self._interpreter = Interpreter(model_content=content, num_threads=THREADS)
        self._interpreter.allocate_tensors()
        self._source = self._interpreter.get_input_details()[0]["index"]
        self._sinks = [details["index"] for details in self._interpreter.get_output_details()]

    def invoke(self) -> None:
        """Run on whatever input is set."""
        self._interpreter.invoke()

    def outputs(self, inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Each output (n, ...) for ``inputs`` (n, d), one at a time."""
        rows = []
        for row in inputs:
            self._interpreter.set_tensor(self._source, row[np.newaxis])
            self._interpreter.invoke()
            rows.append([self._interpreter.get_tensor(sink)[0].copy() for sink in self._sinks])
        return [np.stack(each) for each in zip(*rows, strict=True)]


def medians_ms(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median CPU time of each run over ``rounds`` rounds, in each of which every run takes its turn.

    A turn drops its first calls: a device runs one model, whose weights stay in whatever cache holds them.
    CPU time, because all run on one thread and the machine may have other work.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            for _ in range(WARM_UP):
                run()
            times[name] += [_ms(run) for _ in range(TIMED)]
    return {name: float(np.median(each)) for name, each in times.items()}


def milder(weights: PaperWeights) -> PaperWeights:
    """``weights`` with every matrix of a linear layer scaled by 0.8."""
    gain = np.float32(MILD_GAIN)
    encoder = {
        name: array * gain if array.ndim == 2 and "sgu" not in name else array  # noqa: PLR2004 - a matrix
        for name, array in weights.encoder.items()
    }
    return replace(weights, encoder=encoder)


def one_fully_connected(weight_bytes: int) -> bytes:
    """A model of one dynamic int8 FULLY_CONNECTED with as many weights: nothing can be faster."""
    outputs = weight_bytes // FLOOR_INPUTS
    values = np.random.default_rng(0).standard_normal((outputs, FLOOR_INPUTS)).astype(np.float32)
    affine = weight_affine(values)
    write = Operators(Graph(description="floor"))
    source = write.source("x", (1, FLOOR_INPUTS))
    weights = write.constant("weights", quantised_weights(values, affine), affine)
    result = write.fully_connected("y", source, Linear(weights, LEFT_OUT, FULLY_CONNECTED_HYBRID_VERSION))
    return write.graph.to_bytes(source, result)


def output_block(program: Program) -> Program:
    """The last block alone: 18 tokens of 512 numbers, flattened, to the offset."""
    steps = [step for step in program.steps if step.output == OFFSET or step.output.startswith("out.")]
    own = {step.output for step in steps}
    (tokens,) = {name for step in steps for name in step.inputs} - own
    cut = Step(Op.RESHAPE, tokens, ("tokens.flat",), shape=(STYLES, WIDTH))
    return Program("tokens.flat", STYLES * WIDTH, (cut, *steps), (OFFSET,))


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds: operators, and bytes of int8 weights."""

    operators: int
    int8_bytes: int


def contents(model: bytes) -> Contents:
    """Read ``model`` back."""
    root = schema.Model.GetRootAsModel(model, 0)
    graph = root.Subgraphs(0)
    tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
    stored = [
        root.Buffers(each.Buffer()).DataLength() for each in tensors if each.Type() == schema.TensorType.INT8
    ]
    return Contents(graph.OperatorsLength(), sum(stored))


@dataclass(frozen=True, slots=True, repr=False)
class TrainedEncoder:
    """The simplified program of trained weights, measurements (n, d) of scenes that it did not see, its AUC.

    ``chosen`` are the tokens of the offset that the training judged; the others follow from nothing.
    """

    program: Program
    measurements: NDArray[np.float32]
    chosen: tuple[int, ...]
    auc: float


def load_trained(path: Path) -> TrainedEncoder:
    """What ``benchmarks.paper_trained`` wrote to ``path``."""
    with np.load(path, allow_pickle=False) as arrays:
        named = {
            name.removeprefix(ENCODER_PREFIX): arrays[name]
            for name in arrays.files
            if name.startswith(ENCODER_PREFIX)
        }
        head = Dense(arrays["head_weight"], arrays["head_bias"])
        chosen = tuple(int(each) for each in arrays["chosen"])
        program = simplified(plain_program(named, head))
        return TrainedEncoder(program, arrays["measurements"], chosen, float(arrays["auc"]))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How close a model is to float64: median cosine of the offsets, share of logits with the same sign."""

    cosine: float
    signs: float


def agreement(found: Sequence[NDArray[np.floating]], wanted: tuple[NDArray[np.float64], ...]) -> Agreement:
    """Compare offset and logits, (n, ...) each."""
    a, b = found[0].reshape(len(found[0]), -1), wanted[0].reshape(len(wanted[0]), -1)
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    signs = float(((found[1] > 0) == (wanted[1] > 0)).mean())
    return Agreement(float(np.median(cosines)), signs)


def with_int8_inputs(program: Program, measurements: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Outputs in float64 for measurements (n, d) when only the inputs of linear steps are rounded.

    As the runtime does it: 256 codes between the lowest and the highest number and 0, for each row of a
    FULLY_CONNECTED and for all rows of a convolution together.
    """
    axes = {Op.LINEAR: (-1,), Op.BLOCKS: (-2, -1)}

    def rounded(step: Step, x: Array) -> Array:
        if step.op not in axes:
            return x
        low = np.minimum(x.min(axis=axes[step.op], keepdims=True), 0.0)
        high = np.maximum(x.max(axis=axes[step.op], keepdims=True), 0.0)
        scale = np.maximum((high - low) / INT8_STEPS, np.finfo(np.float32).tiny)
        zero = np.rint(low / scale)
        coded: Array = np.clip(np.rint(x / scale), zero, zero + INT8_STEPS) * scale
        return coded

    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in program.outputs}
    for part in row_parts(measurements):
        for name, value in values_of(program, part, rounded):
            if name in found:
                found[name].append(value)
    return [np.concatenate(found[name]) for name in program.outputs]


def _ms(run: Callable[[], Any]) -> float:
    started_ns = time.process_time_ns()
    run()
    return (time.process_time_ns() - started_ns) / NS_PER_MS
