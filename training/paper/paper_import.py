"""Checkpoints of the paper's official code, checked tensor by tensor. Nothing in them is executed."""

import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ConfigError, DataError
from lsi.patterns import PatternSet
from training.paper.paper_weights import (
    FIELD_PX,
    HEAD_SHAPES,
    STYLES,
    WIDTH,
    PaperWeights,
    check_shapes,
    expected_encoder_shapes,
)

if TYPE_CHECKING:
    import torch

SAFE_TORCH: Final = (2, 10)
"""Older versions run or corrupt memory with crafted files even with ``weights_only=True``: advisories
GHSA-53q9-r3pm-6pq6 (before 2.6) and GHSA-63cw-57p8-fm3p (before 2.10)."""
NEEDED: Final = ("mask", "latent_camera")
SKIPPED: Final = ("landmarks", "segmentation", "opts", "global_step", "optimizer", "best_val_loss")
"""Parts that an official checkpoint may have and that a device or decoder has no use for."""
KNOWN: Final = (*NEEDED, "cls", "latent_avg", *SKIPPED)
FINE_TUNED: Final = "ft"
# Options that change the arithmetic and leave every name and shape alike. A good value proves nothing
# (the file may say anything); another one is reason enough to refuse.
_ARITHMETIC: Final[Mapping[str, object]] = {
    "bits": 1,
    "clip_w": "clamp",
    "quantizing_strategy": "detach",
    "b_residual": True,
    "b_final_equal": False,
}
_HINT: Final = "a .pt file of the paper's official code with its default options."
_GLOBAL: Final = re.compile(r"GLOBAL ([\w.]+)")


@dataclass(frozen=True, slots=True)
class PaperImport:
    """What was found in a checkpoint: ``skipped`` names the parts left aside, ``notes`` are for people."""

    weights: PaperWeights
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def import_paper(path: Path) -> PaperImport:
    """Read and check an official checkpoint.

    Raises:
        ConfigError: PyTorch is missing, or too old to open such files safely.
        DataError: No such file, one that holds more than tensors and plain values, or one whose
            parts are not those of the official code with default options.
    """
    torch_load = _safe_loader()
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as cause:
        raise DataError(f"No readable checkpoint at {path} ({cause.strerror}).", hint=_HINT) from cause
    try:
        with warnings.catch_warnings():
            # PyTorch warns of pickle protocols and archives that are refused below anyway.
            warnings.simplefilter("ignore")
            document: object = torch_load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # noqa: BLE001 - the unpickler raises whatever the bytes lead it to
        _refuse(path, cause)
    try:
        return check_document(document, {"source": path.name, "sha256": sha256})
    except ValueError as cause:
        raise DataError(f"{path} cannot be imported: {cause}.", hint=_HINT) from cause


def check_document(document: object, record: Mapping[str, str]) -> PaperImport:
    """Check what was unpickled and take over masks, encoder, head and mean latent.

    Raises:
        ValueError: A part is missing, unknown, of another shape or type, or not finite.
    """
    parts = _parts(document)
    notes = _options_notes(parts.get("opts"))
    d = _masks_count(parts["mask"])
    encoder = _arrays("latent_camera", parts["latent_camera"], expected_encoder_shapes(d))
    head = parts.get("cls")
    arrays = {} if head is None else _arrays("cls", head, HEAD_SHAPES)
    weights = PaperWeights(
        patterns=_patterns(parts["mask"], d),
        encoder=encoder,
        head_weight=arrays.get("weight"),
        head_bias=arrays.get("bias"),
        latent_avg=_latent_avg(parts.get("latent_avg")),
        record=record,
    )
    skipped = tuple(name for name in SKIPPED if parts.get(name) is not None)
    return PaperImport(weights, skipped, notes)


def _safe_loader() -> Any:  # noqa: ANN401 - the type of torch.load is not known without PyTorch
    try:
        import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch
    except ImportError as cause:
        found = "Reading the paper's checkpoints needs PyTorch, which is not installed."
        raise ConfigError(found, hint="pip install 'lsi-host[train]'.") from cause
    version = str(torch.__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < SAFE_TORCH:
        wanted = ".".join(str(part) for part in SAFE_TORCH)
        found = f"PyTorch {version} cannot open a checkpoint of unknown origin safely."
        raise ConfigError(found, hint=f"pip install 'torch>={wanted}'.")
    return torch.load


def _refuse(path: Path, cause: Exception) -> NoReturn:
    wanted = _GLOBAL.search(str(cause))
    if wanted is not None:
        found = f"{path} asks for {wanted[1]:.80}, which could run code; it was refused and not run."
        raise DataError(found, hint="a checkpoint of tensors and plain values only.") from cause
    found = f"{path} is damaged or no PyTorch checkpoint ({type(cause).__name__})."
    raise DataError(found, hint="download it again and compare its size.") from cause


def _parts(document: object) -> Mapping[str, object]:
    if not isinstance(document, dict):
        message = f"it holds a {type(document).__name__}, not a dictionary"
        raise ValueError(message)  # noqa: TRY004 - one error for everything a file can get wrong
    unknown = [f"{key!r:.60}" for key in document if key not in KNOWN]
    if unknown:
        message = f"unknown parts: {', '.join(unknown[:4])}"
        raise ValueError(message)
    missing = [name for name in NEEDED if document.get(name) is None]
    if missing:
        message = f"no {' and no '.join(missing)} in it"
        raise ValueError(message)
    return document


def _options_notes(options: object) -> tuple[str, ...]:
    """Refuse options that name another arithmetic; say what nobody can see from the tensors."""
    if not isinstance(options, dict):
        return ()
    for name, wanted in _ARITHMETIC.items():
        value = options.get(name, wanted)
        if type(value) is not type(wanted) or value != wanted:
            message = f"its option {name} is {value!r:.40}; only {wanted!r} is supported"
            raise ValueError(message)
    if options.get("ini_w") == FINE_TUNED:
        return ("its options say fine-tuned on a rig (ini_w ft): then it expects the scale of that rig",)
    return ()


def _masks_count(mask: object) -> int:
    """d, from the one tensor that says it; everything else is checked against it."""
    shapes = {name: tuple(tensor.shape) for name, tensor in _tensors("mask", mask).items()}
    d = next(iter(shapes.get("weight", ())), 0)  # without one, the comparison below says so
    _check("mask", shapes, {"weight": (d, FIELD_PX**2)})
    return d


def _patterns(mask: object, d: int) -> PatternSet:
    weight = _arrays("mask", mask, {"weight": (d, FIELD_PX**2)})["weight"]
    binary = np.rint(np.clip(weight, 0, 1)).astype(np.bool_)
    return PatternSet(binary.reshape(d, FIELD_PX, FIELD_PX))


def _latent_avg(value: object) -> NDArray[np.float32] | None:
    """(18, 512) from one row for all layers or from one row each, with any leading ones."""
    if value is None:
        return None
    tensor = _tensors("latent_avg", {"latent_avg": value})["latent_avg"]
    shape = tuple(tensor.shape)
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    if shape not in {(WIDTH,), (STYLES, WIDTH)}:
        message = f"latent_avg {tuple(tensor.shape)} is neither one row of {WIDTH} nor {STYLES}"
        raise ValueError(message)
    rows = _float32("latent_avg", tensor).reshape(-1, WIDTH)
    return np.broadcast_to(rows, (STYLES, WIDTH))


def _arrays(
    part: str, state: object, expected: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """The tensors of ``part`` as arrays, after every name and shape was compared with the table."""
    tensors = _tensors(part, state)
    _check(part, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, expected)
    return {name: _float32(f"{part}.{name}", tensor) for name, tensor in tensors.items()}


def _check(part: str, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    try:
        check_shapes(found, expected)
    except ValueError as cause:
        message = f"{part} has tensors {cause}"
        raise ValueError(message) from cause


def _tensors(part: str, state: object) -> dict[str, "torch.Tensor"]:
    """A state dict whose values are plain dense float32 tensors in memory."""
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    if not isinstance(state, dict):
        message = f"{part} is a {type(state).__name__}, not a state dict"
        raise ValueError(message)  # noqa: TRY004 - one error for everything a file can get wrong
    for name, value in state.items():
        is_plain = type(value) in (torch.Tensor, torch.nn.Parameter)
        if not (is_plain and value.layout == torch.strided and value.device.type == "cpu"):
            message = f"{part} entry {name!r:.80} is no dense tensor"
            raise ValueError(message)
        if value.dtype != torch.float32:
            message = f"{part} entry {name!r:.80} is {value.dtype}, not torch.float32"
            raise ValueError(message)
    return state


def _float32(name: str, tensor: "torch.Tensor") -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().contiguous().numpy()
    if not np.isfinite(array).all():
        message = f"{name} holds values that are not finite"
        raise ValueError(message)
    return array
