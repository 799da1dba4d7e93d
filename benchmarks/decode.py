"""Decoding latents against the synthesis network alone: what checks, batches and codes of colours cost.

The generator has the full size for 64 px and random weights, on which the time does not depend.

    python -m benchmarks.decode --json
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

import numpy as np
import torch

from benchmarks.report import Figure, report
from host.decoder.decoder import OwnDecoder
from host.decoder.generator_file import GeneratorFile
from host.decoder.synthesis import Synthesis, SynthesisShape
from host.decoder.weights import weights_of
from lsi.latent import LatentSpace
from training.generator.generator_settings import preset_widths

BATCH: Final = 32
SIZE_PX: Final = 64
LATENT_WIDTH: Final = 128
ROUNDS: Final = 15
GOAL_SHARE: Final = 0.9


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    decoder = _decoder()
    offsets = np.random.default_rng(1).normal(size=(BATCH, *decoder.space.mean.shape)).astype(np.float32)
    latents = torch.tensor(decoder.space.latents(offsets))

    @torch.no_grad()
    def raw() -> object:
        return decoder.network(latents)

    pairs = [(_seconds(lambda: decoder.pictures(offsets)), _seconds(raw)) for _ in range(parsed.rounds + 2)]
    ours_s, raw_s = (median(times) for times in zip(*pairs[2:], strict=True))
    share = raw_s / ours_s
    beside = {"pictures_per_s": BATCH / ours_s, "generator_alone_per_s": BATCH / raw_s}
    goal = f">= {GOAL_SHARE:g}"
    figures = [Figure("decode_share_of_generator", share, "", goal, share >= GOAL_SHARE, beside)]
    print(report("decode", figures, as_json=parsed.json))
    return 0


def _decoder() -> OwnDecoder:
    shape = SynthesisShape(SIZE_PX, LATENT_WIDTH, preset_widths("full", SIZE_PX))
    space = LatentSpace("random", np.zeros((shape.layers, shape.latent_width), np.float32))
    torch.manual_seed(1)
    return OwnDecoder(GeneratorFile(space, shape, weights_of(Synthesis(shape)), {}, (), {}))


def _seconds(call: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    call()
    return time.perf_counter() - began_s


if __name__ == "__main__":
    sys.exit(main())
