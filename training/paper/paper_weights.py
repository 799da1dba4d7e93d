"""``PaperWeights``: masks and encoder of the paper's checkpoints, as numpy arrays in one ``.npz``.

Source of names and shapes: ``vccimaging/latent-imaging`` with its default options.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.frozen import frozen_array
from lsi.npz_file import META, npz_arrays, says_of_itself
from lsi.patterns import PatternSet
from lsi.whole_file import whole_file

FORMAT: Final = "lsi.paper/1"
KIND: Final = "paper"
STYLES: Final = 18
"""Layers of the latent."""
WIDTH: Final = 512
"""Numbers per layer of the latent."""
ATTENTION_WIDTH: Final = 128
FIELD_PX: Final = 256
"""Side of a mask."""
D_RANGE: Final = (4, 512)
MEASUREMENT_STYLES: Final = 3
"""Styles 0 to 2 read the measurement itself."""
MIDDLE_STYLES: Final = 4
"""Styles 3 to 6 read it after the first projection, styles 7 to 17 after the second."""
REPEATS: Final = (3,) * MEASUREMENT_STYLES + (4,) * MIDDLE_STYLES + (5,) * 11
"""Attention repetitions of each style."""
GATED_TOKENS: Final[Mapping[str, int]] = MappingProxyType(
    {"proj_input_0_glp": MEASUREMENT_STYLES, "proj_input_1_glp": MIDDLE_STYLES, "out": STYLES}
)
"""Gated blocks and over how many tokens each mixes."""
_CELEBA_COLUMNS: Final = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair
Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones
Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline
Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick
Wearing_Necklace Wearing_Necktie Young
"""
HEAD_ATTRIBUTES: Final = tuple(_CELEBA_COLUMNS.split())
"""Outputs of the head: the columns of CelebA's attribute file, in its order."""
HEAD_SHAPES: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {"weight": (len(HEAD_ATTRIBUTES), STYLES * WIDTH), "bias": (len(HEAD_ATTRIBUTES),)}
)
_PREFIX: Final = "encoder."
_OPTIONAL: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "head_weight": HEAD_SHAPES["weight"],
        "head_bias": HEAD_SHAPES["bias"],
        "latent_avg": (STYLES, WIDTH),
    }
)
_NAMES_SHOWN: Final = 4


def expected_encoder_shapes(d: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the encoder for ``d`` masks.

    Raises:
        ValueError: ``d`` is not in 4..512.
    """
    low, high = D_RANGE
    if not low <= d <= high:
        message = f"{d} masks, not {low} to {high}"
        raise ValueError(message)
    table: dict[str, tuple[int, ...]] = {}
    for index, repeats in enumerate(REPEATS):
        table |= _style_shapes(f"styles.{index}", d, repeats)
    for name, tokens in GATED_TOKENS.items():
        table |= _gated_shapes(f"{name}.layers.0.fn", tokens)
    table |= _linear_shapes("proj_input_0_linear", d, MEASUREMENT_STYLES * WIDTH)
    return table | _linear_shapes("proj_input_1_linear", d, MIDDLE_STYLES * WIDTH)


def check_shapes(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Compare a state dict with its table.

    Raises:
        ValueError: Names are missing or surplus, or shapes differ; the message names them.
    """
    wrong = [
        f"{name} {found[name]} instead of {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    faults = {
        "missing": [name for name in expected if name not in found],
        "surplus": [f"{name!r:.80}" for name in found if name not in expected],
        "of another shape": wrong,
    }
    told = [f"{kind}: {_listed(names)}" for kind, names in faults.items() if names]
    if told:
        raise ValueError("; ".join(told))


@dataclass(frozen=True, slots=True, repr=False)
class PaperWeights:
    """Masks, encoder and, where a checkpoint has them, attribute head and mean latent.

    Shape: ``patterns`` (d, 256, 256); ``encoder`` as :func:`expected_encoder_shapes`;
    ``head_weight`` (40, 9216) and ``head_bias`` (40,), both or neither, read the flattened offset;
    ``latent_avg`` (18, 512). All float32 and finite. ``record`` is JSON: where they come from.

    The measurement is one-arm: the sum over the pixels of a mask of R + G + B, each in [0, 1].
    """

    patterns: PatternSet
    encoder: Mapping[str, NDArray[np.float32]]
    head_weight: NDArray[np.float32] | None = None
    head_bias: NDArray[np.float32] | None = None
    latent_avg: NDArray[np.float32] | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        m, *field_px = self.patterns.shape
        if field_px != [FIELD_PX, FIELD_PX]:
            message = f"masks of {field_px[0]} x {field_px[1]}, not {FIELD_PX} x {FIELD_PX}"
            raise ValueError(message)
        if (self.head_weight is None) != (self.head_bias is None):
            message = "a head needs both weight and bias"
            raise ValueError(message)
        table = expected_encoder_shapes(m)
        check_shapes({name: array.shape for name, array in self.encoder.items()}, table)
        frozen = {name: _finite(name, self.encoder[name], shape) for name, shape in table.items()}
        object.__setattr__(self, "encoder", MappingProxyType(frozen))
        for name, shape in _OPTIONAL.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _finite(name, getattr(self, name), shape))

    @property
    def d(self) -> int:
        """Numbers in a measurement."""
        return len(self.patterns)

    @property
    def parameters(self) -> int:
        """Numbers in the encoder, the unused query and key rows included."""
        return sum(array.size for array in self.encoder.values())

    @property
    def open_fractions(self) -> NDArray[np.float64]:
        """Open part of each mask, (d,), 0 to 1."""
        fractions: NDArray[np.float64] = self.patterns.masks.mean(axis=(1, 2))
        return fractions

    def __repr__(self) -> str:
        has = [name for name in ("head_weight", "latent_avg") if getattr(self, name) is not None]
        return f"PaperWeights(d={self.d}, masks={self.patterns.digest[:8]}, with={has})"


def save_paper_weights(weights: PaperWeights, path: Path) -> None:
    """Write ``path`` in one step: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        # Not compressed: float weights would shrink by 7 % only.
        np.savez(file, allow_pickle=False, **_arrays(weights))


def load_paper_weights(path: Path) -> PaperWeights:
    """Read what :func:`save_paper_weights` wrote. Nothing in it is executed.

    Raises:
        DataError: No such file, another kind of file, or one whose parts do not fit together.
    """
    hint = "name a file written by 'lsi import-paper'."
    with npz_arrays(path, "paper weights", "holds no usable paper weights", hint) as arrays:
        return _from_archive(arrays)


def is_paper_weights(path: Path) -> bool:
    """Whether ``path`` says of itself that it holds the paper's weights; reads nothing else."""
    return says_of_itself(path, "kind", KIND)


def _arrays(weights: PaperWeights) -> dict[str, NDArray[Any]]:
    meta = {
        "format": FORMAT,
        "kind": KIND,
        "shape": list(weights.patterns.shape),
        "record": dict(weights.record),
    }
    arrays: dict[str, NDArray[Any]] = {
        META: np.array(json.dumps(meta, sort_keys=True)),
        "masks": np.frombuffer(weights.patterns.packed(), np.uint8),
    }
    arrays |= {_PREFIX + name: array for name, array in weights.encoder.items()}
    optional = {name: getattr(weights, name) for name in _OPTIONAL}
    return arrays | {name: array for name, array in optional.items() if array is not None}


def _from_archive(archive: Mapping[str, NDArray[Any]]) -> PaperWeights:
    meta = json.loads(str(archive[META]))
    if meta["format"] != FORMAT or meta["kind"] != KIND:
        message = f"format {meta['format']!r:.40}, not {FORMAT!r}"
        raise ValueError(message)
    m, h, w = meta["shape"]
    return PaperWeights(
        patterns=PatternSet.from_packed(archive["masks"].tobytes(), (m, h, w)),
        encoder={name.removeprefix(_PREFIX): archive[name] for name in archive if name.startswith(_PREFIX)},
        record=meta["record"],
        **{name: archive[name] for name in _OPTIONAL if name in archive},
    )


def _finite(name: str, value: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    frozen = frozen_array(name, value, np.float32, shape)
    if not np.isfinite(frozen).all():
        message = f"{name} holds values that are not finite"
        raise ValueError(message)
    return frozen


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    more = len(shown) - _NAMES_SHOWN
    return ", ".join(shown[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _linear_shapes(prefix: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}.weight": (outputs, inputs), f"{prefix}.bias": (outputs,)}


def _norm_shapes(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}.weight": (width,), f"{prefix}.bias": (width,)}


def _style_shapes(prefix: str, d: int, repeats: int) -> dict[str, tuple[int, ...]]:
    shapes = _norm_shapes(f"{prefix}.norm", d) | _linear_shapes(f"{prefix}.initial.0", WIDTH, d)
    for first in range(0, 4 * repeats, 4):
        shapes |= _norm_shapes(f"{prefix}.convs.{first}", WIDTH)
        shapes[f"{prefix}.convs.{first + 1}.to_qkv.weight"] = (3 * ATTENTION_WIDTH, WIDTH)
        shapes |= _linear_shapes(f"{prefix}.convs.{first + 1}.to_out", WIDTH, ATTENTION_WIDTH)
    return shapes | _linear_shapes(f"{prefix}.linear", WIDTH, WIDTH)


def _gated_shapes(prefix: str, tokens: int) -> dict[str, tuple[int, ...]]:
    return (
        _linear_shapes(f"{prefix}.proj_in.0", 2 * WIDTH, WIDTH)
        | _norm_shapes(f"{prefix}.sgu.norm", WIDTH)
        | {f"{prefix}.sgu.weight": (1, tokens, tokens), f"{prefix}.sgu.bias": (1, tokens)}
        | _linear_shapes(f"{prefix}.proj_out", WIDTH, WIDTH)
    )
