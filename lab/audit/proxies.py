"""What labels say about each other: which attributes stand in for one that is withheld."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ConfigError, DataError
from training.data_sets.data import DataFile
from training.scores.intervals import bounds, person_weights

SHOWN: Final = 15
_KINDS: Final = (1, -1)


def measured_proxies(data: DataFile, protected: Sequence[str]) -> dict[str, Any]:
    """Mutual information in bits between each of ``protected`` and every other attribute.

    Beside it the entropy of the protected attribute, which no proxy can pass, and a 95 % interval over
    people. Rows in which one of the two is unknown do not count.

    Raises:
        ConfigError: No attribute is asked for, or one that the file does not label.
        DataError: The file labels nothing.
    """
    if not data.attribute_names:
        raise DataError(f"{data.path} has no labels.", hint="a data file with attributes.")
    unknown = [name for name in protected if name not in data.attribute_names]
    if unknown or not protected:
        found = f"{data.path.name} does not label {', '.join(unknown) or 'what was not asked for'}."
        raise ConfigError(found, hint=f"--of one of {', '.join(data.attribute_names)}.")
    return {
        "file": data.path.name,
        "rows": len(data),
        "people": len(np.unique(data.identity)),
        "of": {name: _of(data, name) for name in protected},
    }


def _of(data: DataFile, name: str) -> dict[str, Any]:
    column = data.attribute_names.index(name)
    told = data.attributes[:, column]
    rows = {
        other: _shared(told, data.attributes[:, k], data.identity)
        for k, other in enumerate(data.attribute_names)
        if other != name
    }
    ordered = dict(sorted(rows.items(), key=lambda item: -item[1]["bits"]))
    known = told[told != 0]
    return {"entropy_bits": mutual_information(known, known, np.ones((1, len(known))))[0], "proxies": ordered}


def _shared(first: NDArray[np.int8], second: NDArray[np.int8], people: NDArray[np.int64]) -> dict[str, Any]:
    told = (first != 0) & (second != 0)
    one, two = first[told], second[told]
    bits = float(mutual_information(one, two, np.ones((1, len(one))))[0])
    rounds = [mutual_information(one, two, weights) for weights in person_weights(people[told])]
    ends = bounds(np.concatenate(rounds)) if rounds else (float("nan"), float("nan"))
    return {"bits": bits, "bits_95": list(ends), "rows": int(told.sum())}


def mutual_information(
    first: NDArray[np.int8], second: NDArray[np.int8], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Bits (rounds,) that two answers share, where rows count ``weights`` (rounds, n) times.

    The plug-in estimate: with n rows it is about ``1 / (2 n ln 2)`` too high where nothing is shared.
    """
    total = np.maximum(weights.sum(axis=1), 1e-300)
    found = np.zeros(len(weights))
    for one in _KINDS:
        for two in _KINDS:
            both = weights @ ((first == one) & (second == two)) / total
            alone = (weights @ (first == one)) * (weights @ (second == two)) / total**2
            ratio = np.divide(both, alone, out=np.ones_like(both), where=(both > 0) & (alone > 0))
            found += both * np.log2(ratio)
    return np.asarray(found, np.float64)


def as_lines(found: Mapping[str, Any]) -> list[str]:
    """For people: the strongest proxies of each."""
    lines = [f"{found['file']}: {found['rows']} rows of {found['people']} people"]
    for name, row in found["of"].items():
        lines.append(f"{name}: {row['entropy_bits']:.3f} bits; shared with")
        for other, shared in list(row["proxies"].items())[:SHOWN]:
            low, high = shared["bits_95"]
            lines.append(f"  {other:24} {shared['bits']:.3f} bits ({low:.3f} to {high:.3f})")
    return lines
