"""The baselines by name; the libraries of the classical ones are the extra ``bench``."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from lab.baselines.lessons import Budget, Tell, teach
from lab.baselines.networks import FourierNet, UnrolledNet
from lsi.errors import ConfigError
from training.light.forward_model import TwoArms

Floats = NDArray[np.float32]
Reconstruct = Callable[[Floats], Floats]
"""Fields (n, H, W) to their luminance (n, H, W), through masks, sensor and noise of the method."""
Learn = Callable[[Floats, int, TwoArms, Budget, Tell], Reconstruct]
"""From training fields, d, the detector and what may be spent."""


def require_bench() -> None:
    """Say what to install where a library of the baselines is missing.

    Raises:
        ConfigError: One is missing.
    """
    try:
        import pylops  # noqa: F401, PLC0415 - only whether it is there
        import pywt  # noqa: F401, PLC0415 - same
    except ImportError as cause:
        found = f"The baselines need pylops and PyWavelets ({cause.name} is missing)."
        raise ConfigError(found, hint="pip install 'lsi-host[bench]'.") from cause


def chosen_methods(words: str) -> tuple[str, ...]:
    """Names of methods, in the order of ``METHODS``: "all", "none" (banks alone), or some with commas.

    Raises:
        ConfigError: An unknown name, or one twice.
    """
    names = {"all": list(METHODS), "none": []}.get(words, words.split(","))
    if len(set(names)) != len(names) or not set(names) <= set(METHODS):
        raise ConfigError(f"--baselines is {words!r}.", hint=f"all, none, or some of {', '.join(METHODS)}.")
    return tuple(name for name in METHODS if name in names)


def _total_variation(fields: Floats, d: int, detector: TwoArms, _budget: Budget, _tell: Tell) -> Reconstruct:
    from lab.baselines.sparse import learn_sparse, least_variation  # noqa: PLC0415 - an extra of its own

    return learn_sparse(least_variation, fields, d, detector)


def _wavelet(fields: Floats, d: int, detector: TwoArms, _budget: Budget, _tell: Tell) -> Reconstruct:
    from lab.baselines.sparse import fewest_wavelets, learn_sparse  # noqa: PLC0415 - an extra of its own

    return learn_sparse(fewest_wavelets, fields, d, detector)


def _fourier(fields: Floats, d: int, detector: TwoArms, budget: Budget, tell: Tell) -> Reconstruct:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(budget.seed)
        network = FourierNet(d, fields.shape[-1], float(fields.mean()), detector)
    return teach(network, fields, budget, tell)


def _unrolled(bits: int) -> Learn:
    def learn(fields: Floats, d: int, detector: TwoArms, budget: Budget, tell: Tell) -> Reconstruct:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(budget.seed)
            network = UnrolledNet(d, fields.shape[-1], float(fields.mean()), detector, bits)
        return teach(network, fields, budget, tell)

    return learn


METHODS: Final[Mapping[str, Learn]] = MappingProxyType(
    {
        "hadamard-tv": _total_variation,
        "hadamard-wavelet": _wavelet,
        "fourier-unet": _fourier,
        "unrolled-1bit": _unrolled(1),
        "unrolled-8bit": _unrolled(8),
    }
)

ADAPTATIONS: Final = (
    "fourier-unet plays the role of FSI-DL, unrolled-1bit and unrolled-8bit that of SAUNet; they are our "
    "own adaptations, not the published networks. A mask of 8 bits is shown as 8 patterns: that bank takes 8 "
    "times as long at the same d, and its light is counted as that of one pattern."
)
