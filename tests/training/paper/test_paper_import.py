"""Official checkpoints: what is taken over, and everything that is refused."""

import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the importer needs PyTorch (lsi-host[train])")

import torch

from lsi.errors import ConfigError, DataError
from tests.training.paper_official import official_document
from tests.training.paper_tiny import D, patterned_encoder
from training.paper.paper_import import PaperImport, check_document, import_paper

ENTRY = "styles.4.linear.weight"


class Malicious:
    """Makes a folder as soon as it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def _check(document: object) -> PaperImport:
    return check_document(document, {})


def _state(part: str, **changes: object) -> dict[str, Any]:
    """A document in whose ``part`` entries are changed, or left out if ``None``."""
    document = official_document(D)
    entries = {name.replace("/", "."): value for name, value in changes.items()}
    document[part] = {name: value for name, value in (document[part] | entries).items() if value is not None}
    return document


def test_every_tensor_arrives_at_its_place() -> None:
    encoder = patterned_encoder()
    document = official_document(D)
    document["latent_camera"] = {name: torch.tensor(array) for name, array in encoder.items()}
    document["cls"] = {"weight": torch.rand(40, 9216), "bias": torch.rand(40)}
    found = _check(document).weights
    assert all(np.array_equal(found.encoder[name], encoder[name]) for name in encoder)
    assert found.head_weight is not None
    assert found.head_bias is not None
    assert np.array_equal(found.head_weight, document["cls"]["weight"].numpy())
    assert np.array_equal(found.head_bias, document["cls"]["bias"].numpy())


def test_masks_are_rounded_after_the_clamp_and_kept_in_row_order() -> None:
    weight = torch.zeros(D, 256**2)
    weight[0, :5] = torch.tensor([-3.0, 0.49, 0.5, 0.51, 7.0])
    weight[2, 256] = 1.0
    masks = _check(_state("mask", weight=weight)).weights.patterns.masks
    assert masks[0, 0, :5].tolist() == [False, False, False, True, True]
    assert masks[2, 1, 0]
    assert masks.sum() == 3


def test_parameters_of_a_module_are_taken_like_tensors() -> None:
    weight = torch.nn.Parameter(torch.ones(D, 256**2))
    assert _check(_state("mask", weight=weight)).weights.open_fractions.tolist() == [1] * D


@pytest.mark.parametrize("shape", [(512,), (1, 512), (1, 1, 512), (18, 512), (1, 18, 512)])
def test_the_mean_latent_is_one_row_for_all_layers_or_one_each(shape: tuple[int, ...]) -> None:
    average = torch.rand(shape)
    found = _check(official_document(D) | {"latent_avg": average}).weights.latent_avg
    assert found is not None
    assert found.shape == (18, 512)
    assert np.array_equal(found, np.broadcast_to(average.numpy().reshape(-1, 512), (18, 512)))


@pytest.mark.parametrize("shape", [(), (511,), (2, 512), (18, 1, 512), (512, 18)])
def test_a_mean_latent_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="latent_avg"):
        _check(official_document(D) | {"latent_avg": torch.zeros(shape)})


def test_head_and_mean_latent_may_be_absent() -> None:
    document = {name: official_document(D)[name] for name in ("mask", "latent_camera")}
    weights = _check(document).weights
    assert (weights.head_weight, weights.head_bias, weights.latent_avg) == (None, None, None)


def test_parts_that_nobody_needs_are_skipped_by_name() -> None:
    document = official_document(D) | {"landmarks": {"l1": torch.zeros(1)}, "optimizer": {"state": {}}}
    assert _check(document).skipped == ("landmarks", "opts", "optimizer")


def test_unknown_parts_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown parts: 'discriminator'"):
        _check(official_document(D) | {"discriminator": {}})


@pytest.mark.parametrize("part", ["mask", "latent_camera"])
@pytest.mark.parametrize("value", ["absent", None, [1], 3])
def test_a_checkpoint_needs_masks_and_encoder(part: str, value: object) -> None:
    document = official_document(D)
    del document[part]
    if value != "absent":
        document[part] = value
    with pytest.raises(ValueError, match=part):
        _check(document)


@pytest.mark.parametrize("document", [None, [], torch.zeros(3), "text"])
def test_a_file_that_holds_no_dictionary_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="not a dictionary"):
        _check(document)


@pytest.mark.parametrize("shape", [(), (65536,), (D, 65535), (D, 256, 256), (0, 65536), (3, 65536)])
def test_masks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="mask"):
        _check(_state("mask", weight=torch.zeros(shape)))


def test_a_surplus_and_a_missing_mask_tensor_are_named() -> None:
    with pytest.raises(ValueError, match="mask has tensors surplus: 'scale'"):
        _check(_state("mask", scale=torch.zeros(1)))
    with pytest.raises(ValueError, match="mask has tensors missing: weight"):
        _check(_state("mask", weight=None))


def test_masks_and_encoder_of_different_size_are_refused() -> None:
    document = official_document(D) | {"latent_camera": official_document(8)["latent_camera"]}
    with pytest.raises(ValueError, match=r"styles\.0\.norm\.weight \(8,\) instead of \(4,\)"):
        _check(document)


def test_missing_surplus_and_misshapen_tensors_are_named() -> None:
    document = _state("latent_camera", extra=torch.zeros(1))
    document["latent_camera"][ENTRY] = torch.zeros(512, 511)
    del document["latent_camera"]["styles.9.linear.bias"]
    with pytest.raises(ValueError, match="surplus: 'extra'") as caught:
        _check(document)
    assert "missing: styles.9.linear.bias" in str(caught.value)
    assert f"{ENTRY} (512, 511) instead of (512, 512)" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (torch.zeros(512, 512, dtype=torch.float16), "float16"),
        (torch.zeros(512, 512, dtype=torch.complex64), "complex64"),
        (torch.zeros(512, 512).to_sparse(), "no dense tensor"),
        (torch.zeros(512, 512, device="meta"), "no dense tensor"),
        ([[0.0] * 512] * 512, "no dense tensor"),
    ],
)
def test_entries_that_are_not_plain_float32_tensors_are_refused(value: object, told: str) -> None:
    document = official_document(D)
    document["latent_camera"][ENTRY] = value
    with pytest.raises(ValueError, match=f"latent_camera entry '{ENTRY}' is .*{told}"):
        _check(document)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", ["mask", "cls"])
def test_values_that_are_not_finite_are_refused(part: str, value: float) -> None:
    document = official_document(D)
    weight = document[part]["weight"].clone()
    weight[3, 7] = value
    document[part]["weight"] = weight
    with pytest.raises(ValueError, match=rf"{part}\.weight holds values that are not finite"):
        _check(document)


def test_half_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="cls has tensors missing: bias"):
        _check(_state("cls", bias=None))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("bits", 8),
        ("bits", True),
        ("clip_w", None),
        ("quantizing_strategy", "level"),
        ("b_residual", False),
        ("b_final_equal", torch.zeros(2)),
    ],
)
def test_options_that_mean_another_arithmetic_are_refused(option: str, value: object) -> None:
    document = official_document(D)
    document["opts"][option] = value
    with pytest.raises(ValueError, match=f"option {option} is"):
        _check(document)


def test_options_decide_nothing_else() -> None:
    document = official_document(D) | {"opts": {"encoding_size": 512, "styles": 3, "exp_dir": "x"}}
    assert _check(document).weights.d == D
    assert _check(official_document(D) | {"opts": "plain"}).notes == ()


def test_a_checkpoint_of_a_rig_is_said_to_be_one() -> None:
    (note,) = _check(official_document(D) | {"opts": {"ini_w": "ft"}}).notes
    assert "scale of that rig" in note


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_is_imported_with_its_name_and_digest(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "official.pt"
    torch.save(official_document(D), path, _use_new_zipfile_serialization=zipped)
    weights = import_paper(path).weights
    assert weights.d == D
    assert weights.record["source"] == "official.pt"
    assert len(weights.record["sha256"]) == 64


@pytest.mark.parametrize("form", ["zip", "old", "pickle", "pickle 4"])
def test_a_file_with_code_is_refused_and_its_code_not_run(form: str, tmp_path: Path) -> None:
    path, folder = tmp_path / "malicious.pt", tmp_path / "made by code"
    document = official_document(D) | {"opts": Malicious(folder)}
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps({"mask": Malicious(folder)}, 4 if form.endswith("4") else 2))
    else:
        torch.save(document, path, _use_new_zipfile_serialization=form == "zip")
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with pytest.raises(DataError) as caught:
            import_paper(path)
    assert not folder.exists()
    assert shown == []
    if form != "pickle 4":
        assert "asks for posix.mkdir, which could run code; it was refused" in str(caught.value)


def test_a_compiled_program_in_place_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "program.pt"
    torch.save(official_document(D), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("program/constants.pkl", b"")
    with pytest.raises(DataError):
        import_paper(path)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.9999])
def test_a_truncated_file_is_refused(part: float, tmp_path: Path) -> None:
    path = tmp_path / "truncated.pt"
    torch.save(official_document(D), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match=r"truncated\.pt is damaged"):
        import_paper(path)


@settings(max_examples=100)
@given(data=st.data())
def test_damage_is_never_anything_but_a_data_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.pt"
    torch.save(
        {"mask": {"weight": torch.zeros(4, 4)}}, path, _use_new_zipfile_serialization=data.draw(st.booleans())
    )
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(DataError):
        import_paper(path)


@settings(max_examples=100)
@given(content=st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.pt"
    path.write_bytes(content)
    with pytest.raises(DataError):
        import_paper(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        import_paper(tmp_path / "absent.pt")
    with pytest.raises(DataError, match="Is a directory"):
        import_paper(tmp_path)


@pytest.mark.parametrize("version", ["2.9.1+cpu", "1.13.0"])
def test_a_pytorch_whose_safe_mode_is_not_safe_is_refused(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(ConfigError, match=r"torch>=2\.10"):
        import_paper(tmp_path / "any.pt")


@pytest.mark.parametrize("version", ["2.10.0", "2.13.0a0+git1", "3.0"])
def test_newer_versions_are_taken(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(DataError, match="No such file"):
        import_paper(tmp_path / "absent.pt")
