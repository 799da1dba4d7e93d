"""The generator's file: there and back, damaged, of another shape."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host.decoder.decoder import OwnDecoder, own_decoder
from host.decoder.generator_file import is_generator, load_generator, save_generator
from host.decoder.synthesis import SynthesisShape
from lsi.errors import DataError, ShapeMismatchError
from lsi.latent import LatentSpace
from tests.host.decoder.small_generator import SHAPE, small_generator, some_offsets


def test_a_generator_comes_back_and_decodes_alike(tmp_path: Path) -> None:
    generator = small_generator()
    save_generator(generator, tmp_path / "g.npz")
    loaded = load_generator(tmp_path / "g.npz")
    assert loaded.space.form == generator.space.form
    assert (loaded.shape, loaded.record) == (generator.shape, generator.record)
    offsets = some_offsets(3)
    there = OwnDecoder(generator).pictures(offsets).astype(int)
    back = own_decoder(tmp_path / "g.npz").pictures(offsets).astype(int)
    assert np.abs(there - back).max() <= 1  # weights are halves in the file
    assert is_generator(tmp_path / "g.npz")


def test_batches_do_not_change_a_picture() -> None:
    decoder = OwnDecoder(small_generator())
    offsets = some_offsets(70)
    whole = decoder.pictures(offsets)
    assert whole.shape == (70, 8, 8, 3)
    assert np.abs(whole[69:].astype(int) - decoder.pictures(offsets[69:])).max() <= 1


def test_features_are_given_coarse_to_fine() -> None:
    features = OwnDecoder(small_generator()).features(some_offsets(2))
    assert [each.shape for each in features] == [(2, 8, 4, 4), (2, 8, 8, 8)]


def test_offsets_of_another_space_are_refused() -> None:
    with pytest.raises(ShapeMismatchError):
        OwnDecoder(small_generator()).pictures(np.zeros((1, 18, 512), np.float32))


def _saved(path: Path, **changes: Any) -> Path:  # noqa: ANN401 - any field of the file
    save_generator(small_generator(), path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    meta = json.loads(str(arrays["meta"])) | {k: v for k, v in changes.items() if k != "arrays"}
    arrays |= changes.get("arrays", {})
    np.savez(path, allow_pickle=False, **{**arrays, "meta": np.array(json.dumps(meta))})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "lsi.generator/2"},
        {"widths": [8, 8, 8]},
        {"widths": [8]},
        {"size_px": 16},
        {"latent_width": 7},
        {"name": "NOT A NAME"},
        {"arrays": {"mean": np.zeros((4, 6), np.float64)}},
        {"arrays": {"mean": np.full((4, 6), np.nan, np.float32)}},
        {"arrays": {"synthesis.start": np.full((1, 8, 4, 4), np.inf, np.float16)}},
    ],
)
def test_a_file_with_a_wrong_part_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"g\.npz"):
        load_generator(_saved(tmp_path / "g.npz", **changes))


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    path = _saved(tmp_path / "g.npz", arrays={"synthesis.start": np.zeros((1, 16, 4, 4), np.float16)})
    with pytest.raises(DataError, match="start is"):
        own_decoder(path)


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.npz"
    save_generator(small_generator(), path)
    content = path.read_bytes()
    for damaged in (b"", b"PK\x03\x04", content[: len(content) // 2], bytes(100)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"g\.npz"):
            load_generator(path)
        assert not is_generator(path)
    with pytest.raises(DataError, match="No readable generator"):
        load_generator(tmp_path / "other.npz")


def test_a_mean_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="mean latent"):
        replace(small_generator(), space=LatentSpace("small", np.zeros((18, 512), np.float32)))


def test_the_shape_is_that_of_the_file() -> None:
    assert SynthesisShape(8, 6, (8, 8)) == SHAPE
