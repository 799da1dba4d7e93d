"""Figures over light and over disturbances, and the operating envelope read off them."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.report_markup import strength
from lab.report_models import STILL, Model
from lab.report_scores import Decision, Split, decisions, resampled
from training.light.detectors import AD7383_4, IdealDetector
from training.light.forward_model import Detector

AFFORDABLE: Final = 0.01
"""Accuracy that may be lost inside the envelope: one point."""
POWERS_NW: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
PHOTONS: Final = (1e2, 3e2, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6)


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that goes wrong, with the strengths at which it is tried; 0 comes first.

    ``key`` is the field of ``Disturbance``; ``per_unit`` turns its value into ``unit``.
    """

    key: str
    title: str
    unit: str
    strengths: tuple[float, ...]
    per_unit: float = 1.0


AXES: Final = (
    Axis("shift_px", "Shift", "pixels of 64", (0, 0.5, 1, 2, 3, 4)),
    Axis("scale", "Change of size", "%", (0, 0.02, 0.05, 0.1, 0.15), 100),
    Axis("turn_deg", "Turn", "degrees", (0, 2, 5, 10, 15)),
    Axis("motion_px", "Motion within a scan", "pixels of 64", (0, 0.5, 1, 2, 4)),
    Axis("gain", "Change of light and gain", "%", (0, 0.1, 0.3, 0.5), 100),
    Axis("arm_imbalance", "Imbalance of the arms", "%", (0, 0.005, 0.01, 0.02, 0.05), 100),
    Axis("offset_counts", "Offset of an arm", "counts", (0, 1, 2, 5, 10)),
    Axis("light_drift", "Light changing within a scan", "%", (0, 0.02, 0.05, 0.1, 0.2), 100),
    Axis("dead_mirrors", "Dead mirrors", "%", (0, 0.005, 0.01, 0.02, 0.05), 100),
    Axis("jitter", "Timing: part of the mask before", "%", (0, 0.01, 0.02, 0.05, 0.1), 100),
)


@dataclass(frozen=True, slots=True, repr=False)
class Bench:
    """What every point of a curve is counted on. Shape: fields (n, 64, 64) of either half."""

    tune: NDArray[np.float32]
    report: NDArray[np.float32]
    split: Split


@dataclass(frozen=True, slots=True, repr=False)
class _Probe:
    """One model with its decisions fixed at its own light, undisturbed."""

    model: Model
    bench: Bench
    how: Mapping[int, Decision]

    def point(self, x: float, logits: NDArray[np.float64]) -> dict[str, float]:
        once = np.ones((1, len(self.bench.split.people)))
        auc, _, _, accuracy = resampled(logits, self.how, self.bench.split, once)[:, 0]
        seen = logits[:, -1] >= self.model.checkpoint.attributes.presence_threshold
        return {"x": x, "accuracy": float(accuracy), "auc": float(auc), "faces_seen": float(seen.mean())}


def curves(
    models: Sequence[Model], bench: Bench, axes: Sequence[Axis], progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One curve per axis with a line per model, light first."""
    probes = [_Probe(each, bench, _decisions(each, bench)) for each in models]
    found = [
        {**head, "lines": [_line(probe, _lit(probe, kind)) for probe in probes]}
        for kind, head in _LIGHTS.items()
    ]
    progress(f"light: {len(found)} curves")
    for axis in axes:
        lines = [_line(probe, _shaken(probe, axis)) for probe in probes]
        found.append({"axis": axis.key, "title": axis.title, "unit": axis.unit, "log": False, "lines": lines})
        progress(f"{axis.key}: {len(axis.strengths)} points")
    return found


_LIGHTS: Final[dict[str, dict[str, Any]]] = {
    "mcp3208": {"axis": "mcp3208_power_nw", "title": "Light, MCP3208", "unit": "nW", "log": True},
    "ad7383_4": {"axis": "ad7383_4_power_nw", "title": "Light, AD7383-4", "unit": "nW", "log": True},
    "ideal": {"axis": "ideal_photons", "title": "Ideal detector", "unit": "photons per mask", "log": True},
}


def _decisions(model: Model, bench: Bench) -> dict[int, Decision]:
    return decisions(model.logits(bench.tune, model.power)[:, :-1], bench.split)


def _line(probe: _Probe, points: list[dict[str, float]]) -> dict[str, Any]:
    model = probe.model
    return {
        "model": model.name,
        "d": model.d,
        "label": label_of(model),
        "seed": model.seed,
        "points": points,
    }


def label_of(model: Model) -> str:
    """d, and how the run differs from a plain one."""
    return f"d = {model.d}" + (f", {model.trained}" if model.trained else "")


def _shaken(probe: _Probe, axis: Axis) -> list[dict[str, float]]:
    model, points = probe.model, []
    for tried in axis.strengths:
        disturbance = replace(STILL, **{axis.key: float(tried)})
        logits = model.logits(probe.bench.report, model.power, disturbance)
        points.append(probe.point(tried * axis.per_unit, logits))
    return points


def _lit(probe: _Probe, kind: str) -> list[dict[str, float]]:
    """Points over light; the decisions stay those of the model's own light."""
    model, fields = probe.model, probe.bench.report
    if kind == "ideal":
        detectors = {photons: IdealDetector(photons) for photons in PHOTONS}
        return [probe.point(x, model.logits(fields, x, STILL, each)) for x, each in detectors.items()]
    detector = AD7383_4 if kind == "ad7383_4" else _mcp3208(model)
    return [probe.point(x, model.logits(fields, x, STILL, detector)) for x in POWERS_NW]


def _mcp3208(model: Model) -> Detector:
    return Detector(find_board(SIMULATED_BOARD).sensor, model.samples)


def envelope(curve: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per line: how far the axis goes before accuracy is down by ``AFFORDABLE``.

    Between two tried strengths the limit is interpolated, on a logarithmic axis in its
    logarithm. ``inside`` says that no tried strength cost so much: the true limit lies beyond.
    """
    return [
        {
            "d": line["d"],
            "label": line["label"],
            "seed": line["seed"],
            **_limit(line["points"], log=bool(curve["log"])),
        }
        for line in curve["lines"]
    ]


def _limit(points: Sequence[Mapping[str, float]], *, log: bool) -> dict[str, Any]:
    # Light is safe at its bright end, a disturbance at 0: walk from the safe end outwards.
    ordered = list(reversed(points)) if log else list(points)
    floor = ordered[0]["accuracy"] - AFFORDABLE
    for safe, lost in itertools.pairwise(ordered):
        if lost["accuracy"] <= floor:
            part = (safe["accuracy"] - floor) / (safe["accuracy"] - lost["accuracy"])
            ends = np.array([safe["x"], lost["x"]])
            x = np.exp(np.interp(part, [0, 1], np.log(ends))) if log else np.interp(part, [0, 1], ends)
            return {"limit": float(x), "inside": False}
    return {"limit": float(ordered[-1]["x"]), "inside": True}


def envelope_sentences(curves_found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The envelope for deployers, a sentence per axis."""
    return [f"{curve['title']}: {_limits(curve)}." for curve in curves_found]


def _limits(curve: Mapping[str, Any]) -> str:
    side = "from" if curve["log"] else "up to"
    parts = []
    for each in envelope(curve):
        beyond = " (nothing tried cost a point)" if each["inside"] else ""
        parts.append(f"{side} {strength(each['limit'])} {curve['unit']} at {each['label']}{beyond}")
    return "; ".join(parts)
