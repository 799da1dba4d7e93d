"""``lsi decode``: marked pictures, never overwritten, and only of latents of the same generator."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.latent_bundle import export_latent_bundle
from export.write_bundle import Identity
from host.cli import main
from host.decoder.decoder import OwnDecoder, own_decoder
from host.decoder.generated_picture import BANNER_PX, SMALLEST_PX
from host.decoder.generator_file import save_generator
from host.decoder.latent_file import LatentBatch, load_latents, save_latents
from lsi.errors import DataError, ShapeMismatchError
from lsi.latent import LatentForm, LatentOffset
from tests.bundles import small_bundle
from tests.export.latent_small import small_latent_checkpoint
from tests.host.decoder.small_generator import small_generator, some_offsets


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    path = tmp_path / "generator.npz"
    save_generator(small_generator(), path)
    return path


def _latents(folder: Path, rows: int = 3) -> Path:
    path = folder / "latents.npz"
    save_latents(LatentBatch(some_offsets(rows), small_generator().space.form.digest), path)
    return path


def test_every_picture_is_marked_in_pixels_and_metadata(
    generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["decode", str(_latents(tmp_path)), "--generator", str(generator), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    assert "no evidence" in capsys.readouterr().out
    wanted = own_decoder(generator).pictures(some_offsets(3))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["generated-00000.png", "generated-00001.png", "generated-00002.png"]
    with Image.open(tmp_path / "out" / names[1]) as image:
        shown = np.asarray(image)
        fields = dict(image.info)
    assert shown.shape == (SMALLEST_PX + BANNER_PX, SMALLEST_PX, 3)
    factor = SMALLEST_PX // 8
    assert np.array_equal(shown[:SMALLEST_PX:factor, ::factor], wanted[1])
    banner = shown[SMALLEST_PX:].reshape(-1, 3)
    assert (banner == (255, 214, 0)).all(axis=1).mean() > 0.5
    assert (banner.sum(axis=1) < 60).mean() > 0.02  # letters
    assert "not evidence" in fields["Description"]
    assert fields["Source"] == "latents.npz, row 1"
    assert fields["DigitalSourceType"].endswith("trainedAlgorithmicMedia")
    assert small_generator().space.form.digest in fields["Software"]


def test_a_contact_sheet_marks_each_and_nothing_is_overwritten(
    generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    latents, out = _latents(tmp_path, 10), tmp_path / "out"
    words = ["decode", str(latents), "--generator", str(generator), "-o", str(out), "--sheet", "--first", "9"]
    assert main(words) == 0
    with Image.open(out / "sheet.png") as image:
        assert image.size == (8 * SMALLEST_PX, 2 * (SMALLEST_PX + BANNER_PX))
        assert "Description" in image.info
    before = (out / "sheet.png").read_bytes()
    assert main(words) == 3
    assert "already" in capsys.readouterr().err
    assert (out / "sheet.png").read_bytes() == before


def test_latents_of_another_generator_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_generator(small_generator(seed=1), tmp_path / "other.npz")
    words = ["decode", str(_latents(tmp_path)), "--generator", str(tmp_path / "other.npz")]
    assert main([*words, "-o", str(tmp_path / "out")]) == 16
    assert "belong to the latent space" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_lsi_open_wrote_is_decoded_with_the_bundle_that_made_it(
    generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    latents, bundle = tmp_path / "opened.npz", tmp_path / "small.lsib"
    np.savez(latents, latents=some_offsets(2), device_id=np.array(["a", "a"]))
    words = ["decode", str(latents), "--generator", str(generator), "-o", str(tmp_path / "out")]
    assert main(words) == 20
    assert "--bundle" in capsys.readouterr().err
    exported = export_latent_bundle(small_latent_checkpoint(), Identity("small", "0.1.0", "2026-11-23"))
    bundle.write_bytes(exported.content)
    assert main([*words, "--bundle", str(bundle)]) == 16  # of another generator
    space = small_generator().space.form
    checkpoint = replace(small_latent_checkpoint(), space=space)
    exported = export_latent_bundle(checkpoint, Identity("small", "0.1.0", "2026-11-23"))
    bundle.write_bytes(exported.content)
    assert main([*words, "--bundle", str(bundle)]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
    bundle.write_bytes(small_bundle())
    assert main([*words, "--bundle", str(bundle)]) == 3


@pytest.mark.parametrize("first", ["0", "-1"])
def test_a_number_that_cannot_be_is_refused(generator: Path, tmp_path: Path, first: str) -> None:
    words = ["decode", str(_latents(tmp_path)), "--generator", str(generator), "-o", str(tmp_path / "out")]
    assert main([*words, f"--first={first}"]) == 3


def test_opened_offsets_of_devices_become_one_batch() -> None:
    form = small_generator().space.form
    values = some_offsets(2)
    batch = LatentBatch.of([LatentOffset(row, form) for row in values])
    assert np.array_equal(batch.for_space(small_generator().space), values)
    assert OwnDecoder(small_generator()).pictures(batch.offsets).shape == (2, 8, 8, 3)
    other = LatentForm("other", 4, 6, "0" * 64)
    with pytest.raises(ShapeMismatchError, match="2 latent spaces"):
        LatentBatch.of([LatentOffset(values[0], form), LatentOffset(values[1], other)])
    with pytest.raises(ShapeMismatchError, match="0 offsets"):
        LatentBatch.of([])


def test_a_file_that_holds_no_latents_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.npz"
    for content in (b"", b"nothing", bytes(64)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"l\.npz"):
            load_latents(path)
    for offsets in (
        np.zeros((2, 3), np.float32),
        np.zeros((1, 2, 3)),
        np.full((1, 2, 3), np.nan, np.float32),
    ):
        np.savez(path, offsets=offsets, space=np.array("0" * 64))
        with pytest.raises(DataError, match=r"l\.npz"):
            load_latents(path)
    assert "0." not in repr(LatentBatch(np.full((1, 2, 3), 0.5, np.float32), "ab" * 32))
