"""The paper's weights as a value and on disk."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsi.errors import DataError
from lsi.patterns import PatternSet
from tests.training.paper_tiny import D, patterned_encoder, patterned_weights, some_patterns
from tests.training.tiny import tiny_checkpoint
from training.attributes.checkpoint import load_checkpoint, save_checkpoint
from training.paper.paper_weights import (
    HEAD_ATTRIBUTES,
    PaperWeights,
    expected_encoder_shapes,
    is_paper_weights,
    load_paper_weights,
    save_paper_weights,
)

RECORD = {"source": "x.pt"}


def _full() -> PaperWeights:
    head = np.linspace(-1, 1, 40 * 9216, dtype=np.float32).reshape(40, 9216)
    average = np.linspace(0, 2, 9216, dtype=np.float32).reshape(18, 512)
    weights = patterned_weights()
    return replace(weights, head_weight=head, head_bias=head[:, 3], latent_avg=average, record=RECORD)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("paper") / "folder" / "paper.npz"
    save_paper_weights(_full(), path)
    yield path
    path.unlink()  # 114 MB


@pytest.fixture(scope="module")
def torso() -> bytes:
    """A small file that lacks nothing but the encoder."""
    meta = json.dumps({"format": "lsi.paper/1", "kind": "paper", "shape": [D, 256, 256], "record": {}})
    content = io.BytesIO()
    np.savez(content, meta=np.array(meta), masks=np.frombuffer(some_patterns().packed(), np.uint8))
    return content.getvalue()


@pytest.mark.parametrize("d", [4, 64, 512])
def test_the_table_has_the_official_number_of_parameters(d: int) -> None:
    # Per mask: norm and first layer of 18 styles, and a row of each projection with its bias.
    per_mask = 18 * (2 + 512) + (1536 + 1) + (2048 + 1)
    found = sum(int(np.prod(shape)) for shape in expected_encoder_shapes(d).values())
    assert found == 29_020_406 + per_mask * (d - 64)


def test_the_table_names_what_the_official_code_names() -> None:
    shapes = expected_encoder_shapes(64)
    expected = {
        "styles.0.norm.bias": (64,),
        "styles.0.initial.0.weight": (512, 64),
        "styles.2.convs.8.weight": (512,),
        "styles.6.convs.13.to_qkv.weight": (384, 512),
        "styles.17.convs.17.to_out.weight": (512, 128),
        "styles.17.linear.bias": (512,),
        "proj_input_0_glp.layers.0.fn.sgu.weight": (1, 3, 3),
        "proj_input_1_glp.layers.0.fn.sgu.bias": (1, 4),
        "out.layers.0.fn.proj_in.0.weight": (1024, 512),
        "out.layers.0.fn.sgu.norm.weight": (512,),
        "out.layers.0.fn.proj_out.bias": (512,),
        "proj_input_0_linear.weight": (64, 1536),
        "proj_input_1_linear.weight": (64, 2048),
    }
    assert {name: shapes.get(name) for name in expected} == expected
    absent = ("styles.2.convs.12.weight", "styles.6.convs.16.weight", "styles.17.convs.20.weight")
    assert not any(name in shapes for name in absent)
    assert not any("to_qkv.bias" in name for name in shapes)


@pytest.mark.parametrize("d", [3, 513])
def test_a_number_of_masks_out_of_range_has_no_table(d: int) -> None:
    with pytest.raises(ValueError, match=f"{d} masks, not 4 to 512"):
        expected_encoder_shapes(d)


def test_the_head_answers_in_the_order_of_celeba() -> None:
    assert len(HEAD_ATTRIBUTES) == 40
    assert list(HEAD_ATTRIBUTES) == sorted(HEAD_ATTRIBUTES)
    assert (HEAD_ATTRIBUTES[0], HEAD_ATTRIBUTES[31]) == ("5_o_Clock_Shadow", "Smiling")


def test_everything_survives_the_round_trip(saved: Path) -> None:
    before, after = _full(), load_paper_weights(saved)
    assert (after.patterns, after.record, after.d) == (before.patterns, RECORD, D)
    assert after.encoder.keys() == before.encoder.keys()
    assert all(np.array_equal(after.encoder[name], before.encoder[name]) for name in before.encoder)
    for name in ("head_weight", "head_bias", "latent_avg"):
        assert np.array_equal(getattr(after, name), getattr(before, name))


def test_head_and_mean_latent_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "bare.npz"
    save_paper_weights(patterned_weights(), path)
    after = load_paper_weights(path)
    path.unlink()
    assert (after.head_weight, after.head_bias, after.latent_avg) == (None, None, None)


def test_the_file_needs_no_pickle_and_says_what_it_is(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"]))
        names = set(archive.files)
    assert (meta["format"], meta["kind"]) == ("lsi.paper/1", "paper")
    assert names == {"meta", "masks", "head_weight", "head_bias", "latent_avg"} | {
        f"encoder.{name}" for name in expected_encoder_shapes(D)
    }
    assert [path.name for path in saved.parent.iterdir()] == ["paper.npz"]


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "paper.npz"
    path.write_bytes(b"old")

    def full(file: Any, **_: Any) -> None:  # noqa: ANN401 - stands in for numpy.savez
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        save_paper_weights(patterned_weights(), path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("paper.npz", b"old")]


def test_the_two_kinds_of_file_are_told_apart(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "attributes.npz"
    save_checkpoint(tiny_checkpoint(), other)
    assert [is_paper_weights(path) for path in (saved, other, tmp_path / "absent")] == [True, False, False]
    with pytest.raises(DataError, match=r"lsi\.checkpoint/1"):
        load_paper_weights(other)
    with pytest.raises(DataError, match=r"lsi\.paper/1"):
        load_checkpoint(saved)


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz"):
        load_paper_weights(tmp_path / "absent.npz")


def test_a_file_without_its_encoder_names_what_is_missing(torso: bytes, tmp_path: Path) -> None:
    path = tmp_path / "torso.npz"
    path.write_bytes(torso)
    with pytest.raises(DataError, match=r"missing: styles\.0\.norm\.weight, .* and \d+ more"):
        load_paper_weights(path)


@pytest.mark.filterwarnings("ignore")  # numpy warns of some headers before it refuses them
@settings(max_examples=100)
@given(data=st.data())
def test_damage_is_never_anything_but_a_data_error(
    data: st.DataObject, torso: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(torso)
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(torso) - 1)) :]
    else:
        # Headers and the directory at the end; what lies between is the bits of the masks.
        position = data.draw(st.integers(-600, 900))
        damaged[position] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged)
    with pytest.raises(DataError):
        load_paper_weights(path)


def _member(shape: str) -> bytes:
    """An array in numpy's own format whose header claims ``shape``."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def _swap_masks(torso: bytes, content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    swapped = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(torso)) as source, zipfile.ZipFile(swapped, "w", method) as target:
        target.writestr("meta.npy", source.read("meta.npy"))
        target.writestr("masks.npy", content)
    return swapped.getvalue()


@pytest.mark.parametrize("shape", ["(2**50,)", f"({2**50},)", f"({10**30},)", "(-1,)", "None", "(8,"])
def test_a_header_that_claims_another_shape_is_a_data_error(shape: str, torso: bytes, tmp_path: Path) -> None:
    path = tmp_path / "claims.npz"
    path.write_bytes(_swap_masks(torso, _member(shape)))
    with pytest.raises(DataError):
        load_paper_weights(path)


def test_damage_inside_a_compressed_file_is_a_data_error(torso: bytes, tmp_path: Path) -> None:
    path = tmp_path / "compressed.npz"
    packed = bytearray(_swap_masks(torso, _member("(400,)") + bytes(range(200)) * 2, zipfile.ZIP_DEFLATED))
    start = packed.index(b"masks.npy") + 9
    for position in range(start, start + 40):
        damaged = bytearray(packed)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            load_paper_weights(path)


@pytest.mark.parametrize("meta", ["[]", "3", "{", '{"format": "lsi.paper/1", "kind": "paper", "shape": 3}'])
def test_a_file_that_says_nothing_usable_of_itself_is_a_data_error(meta: str, tmp_path: Path) -> None:
    path = tmp_path / "meta.npz"
    np.savez(path, meta=np.array(meta), masks=np.zeros(8, np.uint8))
    with pytest.raises(DataError):
        load_paper_weights(path)
    is_paper_weights(path)  # an answer, whatever it is


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_of_the_directory_is_a_data_error(bit: int, torso: bytes, tmp_path: Path) -> None:
    path = tmp_path / "flipped.npz"
    for position in range(torso.index(b"PK\x01\x02"), len(torso)):
        damaged = bytearray(torso)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            load_paper_weights(path)


def _with(name: str, array: np.ndarray[Any, Any] | None) -> PaperWeights:
    encoder = dict(patterned_weights().encoder)
    del encoder[name]
    if array is not None:
        encoder[name] = array
    return PaperWeights(some_patterns(), encoder)


def test_missing_surplus_and_misshapen_tensors_are_named() -> None:
    encoder = dict(patterned_weights().encoder)
    encoder["out.gate"] = encoder.pop("styles.3.linear.bias")
    encoder["styles.5.norm.weight"] = np.zeros(5, np.float32)
    with pytest.raises(ValueError, match=r"missing: styles\.3\.linear\.bias") as caught:
        PaperWeights(some_patterns(), encoder)
    assert "surplus: 'out.gate'" in str(caught.value)
    assert "of another shape: styles.5.norm.weight (5,) instead of (4,)" in str(caught.value)


def test_other_types_and_values_that_are_not_finite_are_refused() -> None:
    name = "out.layers.0.fn.sgu.bias"
    with pytest.raises(ValueError, match="float64"):
        _with(name, np.zeros((1, 18)))
    with pytest.raises(ValueError, match=rf"{name} holds values that are not finite"):
        _with(name, np.full((1, 18), np.nan, np.float32))
    with pytest.raises(ValueError, match="latent_avg holds values"):
        replace(patterned_weights(), latent_avg=np.full((18, 512), np.inf, np.float32))


def test_masks_and_encoder_have_to_fit() -> None:
    with pytest.raises(ValueError, match=r"styles\.0\.norm\.weight \(4,\) instead of \(5,\)"):
        PaperWeights(some_patterns(5), patterned_weights().encoder)
    with pytest.raises(ValueError, match="masks of 64 x 64"):
        PaperWeights(PatternSet(np.zeros((D, 64, 64), np.bool_)), patterned_weights().encoder)


def test_half_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="both weight and bias"):
        replace(patterned_weights(), head_bias=np.zeros(40, np.float32))


def test_nobody_can_change_the_value() -> None:
    source = patterned_encoder()
    weights = PaperWeights(some_patterns(), source)
    source["out.layers.0.fn.sgu.bias"][:] = 9
    assert isinstance(weights.encoder, MappingProxyType)
    assert not (weights.encoder["out.layers.0.fn.sgu.bias"] == 9).any()
    assert not any(array.flags.writeable for array in weights.encoder.values())


def test_open_fractions_are_those_of_each_mask() -> None:
    masks = np.zeros((D, 256, 256), np.bool_)
    masks[1, :64] = True
    masks[3] = True
    weights = PaperWeights(PatternSet(masks), patterned_weights().encoder)
    assert weights.open_fractions.tolist() == [0, 0.25, 0, 1]


def test_it_shows_no_values() -> None:
    digest = some_patterns().digest[:8]
    assert repr(_full()) == f"PaperWeights(d=4, masks={digest}, with=['head_weight', 'latent_avg'])"


def test_neither_the_value_nor_its_reference_needs_pytorch() -> None:
    program = "import sys, training.paper.paper_forward; raise SystemExit('torch' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
