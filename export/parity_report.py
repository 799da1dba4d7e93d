"""``parity.json``: what an export kept and what it costs, beside the bundle's content.

Nothing in it depends on the machine, so that the same checkpoint gives the same file; how fast the model
ran is printed only.
"""

import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from export.model_facts import ModelFacts, model_facts
from export.parity import LabelledParity, Parity
from lsi.manifest import canonical_json
from lsi.units import NS_PER_US

PARITY: Final = "parity.json"
RUNS: Final = 200
DIGITS: Final = 6
"""Of a figure in the file; the last ones differ from processor to processor."""


@dataclass(frozen=True, slots=True)
class ParityReport:
    """How far the TFLite file is from float, on random inputs and on labelled ones where there are any."""

    parity: Parity
    facts: ModelFacts
    labelled: LabelledParity | None = None

    @classmethod
    def of(cls, parity: Parity, model: bytes, labelled: LabelledParity | None = None) -> "ParityReport":
        """The report on ``model``."""
        return cls(parity, model_facts(model), labelled)

    def encode(self) -> bytes:
        """Content of the member ``parity.json``."""
        document: dict[str, Any] = {"parity": _rounded(self.parity), "model": asdict(self.facts)}
        if self.labelled is not None:
            document["auc"] = _rounded(self.labelled)
        return canonical_json(document)

    def table(self, latency_us: float) -> str:
        """For people."""
        parity, facts = self.parity, self.facts
        operators = ", ".join(f"{count} {name}" for name, count in facts.operators.items())
        rows = [
            ("inputs compared", f"{parity.rows}, drawn at random in the calibrated range"),
            ("error of a logit", f"largest {parity.largest_error:.3f}, mean {parity.mean_error:.4f}"),
            ("nrmse, cosine", f"{parity.nrmse:.5f}, {parity.cosine:.6f}"),
            ("answers equal", f"{100 * parity.sign_agreement:.2f} %"),
            ("macro AUC", _auc(self.labelled)),
            ("size", f"{facts.size_bytes} bytes, {facts.parameters} parameters, {facts.macs} MACs"),
            ("operators", operators),
            ("one run here", f"{latency_us:.0f} us (median of {RUNS}, one thread)"),
        ]
        return "\n".join(f"  {name:18} {value}" for name, value in rows)


def latency_us(model: bytes) -> float:
    """Median duration of one run on this machine, on one thread."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    interpreter.set_tensor(source["index"], np.zeros(source["shape"], source["dtype"]))
    durations_ns = []
    for _ in range(RUNS):
        began_ns = time.perf_counter_ns()
        interpreter.invoke()
        durations_ns.append(time.perf_counter_ns() - began_ns)
    return median(durations_ns) / NS_PER_US


def _auc(labelled: LabelledParity | None) -> str:
    if labelled is None:
        return "not compared: --labelled FILE.npz"
    return f"{labelled.auc_float:.4f} in float, {labelled.auc_exported:.4f} exported"


def _rounded(figures: Parity | LabelledParity) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in asdict(figures).items()}
