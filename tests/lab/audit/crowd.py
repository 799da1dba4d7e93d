"""Made-up people for tests: scenes that differ between people and, less, between their pictures."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lab.audit.attack import Parts
from lab.audit.people import People

NAMES = ("Eyeglasses", "Mouth_Slightly_Open", "Smiling", "Wearing_Hat", "Male")


PICTURES = 4


def gaussian_people(people: int, width: int, own: float, seed: int = 0) -> People:
    """Numbers of people: a part of deviation ``own`` that stays theirs, and noise of 1; view "numbers"."""
    generator = np.random.default_rng(seed)
    identity = np.repeat(np.arange(people) + 1000 * seed, PICTURES)
    person = own * generator.normal(size=(people, width))
    values = np.repeat(person, PICTURES, axis=0) + generator.normal(size=(len(identity), width))
    labels = np.where(values[:, :2] > 0, 1, -1).astype(np.int8)
    return People(identity, labels, ("a", "b"), {"numbers": values})


def three_parts(people: int, width: int, own: float) -> Parts:
    """Learn, tune and report of different people."""
    learn, tune, report = (gaussian_people(people, width, own, seed=seed) for seed in (1, 2, 3))
    return Parts(learn, tune, report)


def faces_file(path: Path, people: int, pictures: int = 3, *, landmarks: bool = False, seed: int = 0) -> Path:
    """A data file of clouds: each person has clouds of their own, changed a little in every picture."""
    generator = np.random.default_rng(seed)
    streams, identity = [], np.repeat(np.arange(people) + 1000 * seed, pictures)
    clouds = generator.integers(60, 200, (people, 6, 6, 3))
    for person in identity - 1000 * seed:
        changed = np.clip(clouds[person] + generator.integers(-30, 30, (6, 6, 3)), 0, 255)
        buffer = io.BytesIO()
        Image.fromarray(changed.astype(np.uint8)).resize((128, 128)).save(buffer, "WEBP")
        streams.append(buffer.getvalue())
    shape = (len(identity), len(NAMES))
    fields: dict[str, NDArray[np.generic]] = {
        "image_bytes": np.frombuffer(b"".join(streams), np.uint8),
        "offsets": np.cumsum([0, *map(len, streams)]),
        "attributes": np.where(generator.random(shape) < 0.4, 1, -1).astype(np.int8),
        "attribute_names": np.array(NAMES),
        "identity": identity,
    }
    if landmarks:
        fields["landmarks68_x4"] = np.tile(points(), (len(identity), 1, 1)).astype(np.int16)
    np.savez(path, **fields)  # type: ignore[arg-type] # fields of several types
    return path


def points() -> NDArray[np.float64]:
    """Quarter pixels of 68 points whose five derived ones lie as in the data's frame."""
    found = np.full((68, 2), 256.0)
    found[36:42], found[42:48], found[30], found[48], found[54] = (
        (192, 242), (316, 242), (253, 320), (200, 375), (308, 375),
    )  # fmt: skip
    return found
