"""The float model against its TFLite file, on the runtime of the device."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lsi.errors import DataError
from training.read_outs.read_out import ReadOutWeights
from training.scores.figures import auc

THREADS: Final = 1
Labelled: TypeAlias = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Measurements (n, d) and their labels (n, K)."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the TFLite file is from the float model on one set of inputs.

    ``sign_agreement`` is the part of logits on the same side of their threshold. ``nrmse`` is the root of
    the mean squared error in units of the spread of the float logits, ``cosine`` the mean over inputs.
    """

    rows: int
    largest_error: float
    mean_error: float
    sign_agreement: float
    nrmse: float
    cosine: float


@dataclass(frozen=True, slots=True)
class LabelledParity:
    """Mean AUC over the labelled outputs, before and after export."""

    auc_float: float
    auc_exported: float


def run_model(model: bytes, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (n, K + 1) that the TFLite file gives for ``inputs`` (n, d), one at a time."""
    interpreter = Interpreter(model_content=model, num_threads=THREADS)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    sink = interpreter.get_output_details()[0]["index"]
    rows: list[NDArray[np.float32]] = []
    for row in inputs:
        interpreter.set_tensor(source, row[None, :])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink)[0].copy())
    return np.stack(rows)


def parity(
    weights: ReadOutWeights, model: bytes, inputs: NDArray[np.float32], thresholds: Sequence[float]
) -> Parity:
    """Compare ``weights`` in float with the TFLite file ``model`` on ``inputs`` (n, d)."""
    expected, found = weights.logits(inputs), run_model(model, inputs)
    error = np.abs(expected - found)
    cut = np.array(thresholds)
    norms = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    return Parity(
        rows=len(inputs),
        largest_error=float(error.max()),
        mean_error=float(error.mean()),
        sign_agreement=float(((expected >= cut) == (found >= cut)).mean()),
        nrmse=float(np.sqrt((error**2).mean()) / expected.std()),
        cosine=float(((expected * found).sum(axis=1) / norms).mean()),
    )


def read_labelled(path: Path) -> Labelled:
    """Measurements (n, d) and labels (n, K) of a ``.npz`` with ``measurements`` and ``labels`` (+1, -1).

    Raises:
        DataError: No such file, or it lacks one of them.
    """
    hint = "a .npz with measurements (n, d) and labels (n, K) of +1 and -1."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return archive["measurements"].astype(np.float32), archive["labels"] > 0
    except OSError as cause:
        found = f"No readable file of labelled measurements at {path} ({cause.strerror})."
        raise DataError(found, hint=hint) from cause
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as cause:
        found = f"{path} holds no labelled measurements ({type(cause).__name__})."
        raise DataError(found, hint=hint) from cause


def labelled_parity(
    weights: ReadOutWeights, model: bytes, inputs: NDArray[np.float32], labels: NDArray[np.bool_]
) -> LabelledParity:
    """Mean AUC of float model and TFLite file for measurements (n, d) with ``labels`` (n, K).

    Raises:
        DataError: The shapes do not fit the model.
    """
    rows, columns = len(inputs), range(weights.outputs - 1)
    if inputs.shape != (rows, weights.d) or labels.shape != (rows, len(columns)):
        found = f"Labelled measurements have shapes {inputs.shape} and {labels.shape}."
        hint = f"measurements (n, {weights.d}) and labels (n, {len(columns)})."
        raise DataError(found, hint=hint)
    expected, given = weights.logits(inputs), run_model(model, inputs)
    return LabelledParity(
        auc_float=float(np.mean([auc(expected[:, k], labels[:, k]) for k in columns])),
        auc_exported=float(np.mean([auc(given[:, k], labels[:, k]) for k in columns])),
    )
