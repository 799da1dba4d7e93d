"""Discrete Laplace noise, exactly: whole numbers all the way, from a cryptographic source.

Ref: Canonne, Kamath and Steinke 2020, "The Discrete Gaussian for Differential Privacy", algorithms 1 and 2.
Floating point would leave gaps between the values that noise can take, by which a count can be read off
(Mironov 2012).
"""

import secrets
from collections.abc import Callable
from fractions import Fraction

Below = Callable[[int], int]
"""``below(n)`` is uniform over 0 to n - 1, as ``secrets.randbelow``."""


def discrete_laplace(decay: Fraction, below: Below = secrets.randbelow) -> int:
    """A whole number x, drawn with probability proportional to exp(-decay * abs(x)).

    Args:
        decay: Epsilon divided by the sensitivity; above 0.
        below: Where chance comes from; replaced in tests.

    Raises:
        ValueError: A decay that is not above 0.
    """
    if decay <= 0:
        message = f"the decay {decay} must be above 0"
        raise ValueError(message)
    steps, width = decay.numerator, decay.denominator
    while True:
        offset = below(width)
        if not _with_chance_exp(Fraction(offset, width), below):
            continue
        blocks = 0
        while _with_chance_exp(Fraction(1), below):
            blocks += 1
        size = (offset + width * blocks) // steps
        is_negative = below(2) == 1
        if size or not is_negative:  # zero has one sign
            return -size if is_negative else size


def _with_chance_exp(gamma: Fraction, below: Below) -> bool:
    """True with probability exp(-gamma), for gamma from 0 to 1."""
    count = 1
    while below(gamma.denominator * count) < gamma.numerator:
        count += 1
    return count % 2 == 1
