"""A latent bank on a bench that measures otherwise: repaired where it is wrong, else left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from host.cli import main
from host.decoder.generator_file import load_generator, save_generator
from lsi.errors import DataError
from tests.digits_domain import DigitsDomain
from tests.training.bench_vectors import SENSOR
from training.data_sets.data import open_data
from training.data_sets.measured_vectors import Bench, MeasuredVectors, save_vectors
from training.data_sets.whole_picture import pictures_of
from training.generator.generator import encoder_of, latents_of
from training.latent.latent_checkpoint import LatentCheckpoint, load_latent_checkpoint
from training.latent.latent_exam import encoder_from
from training.latent.latent_finetune import INPUT, START, ShownVectors, adapted, finetune_latent
from training.light.forward_model import measure

torch = pytest.importorskip("torch")


def _measured(
    digits: DigitsDomain, checkpoint: LatentCheckpoint, gain: float, lean: float
) -> MeasuredVectors:
    """Digits of val in front of a bench whose ratios are ``gain`` times as large, and ``lean`` off."""
    data = open_data(digits.files["val"])
    faces = data.faces(data.attribute_names)
    masks = torch.tensor(np.array(checkpoint.patterns.masks), dtype=torch.float32)
    power = torch.full((len(data),), digits.detector.nominal_power)
    generator = torch.Generator().manual_seed(1)
    clean = measure(torch.tensor(faces.luminance), masks, digits.detector, power, generator).numpy()
    bench = Bench(checkpoint.patterns.digest, "d", "0" * 64, "sim", SENSOR, "val", data.digest(), "all", {})
    rows = np.arange(len(data), dtype=np.int64)
    return MeasuredVectors(
        measurements=(gain * clean + lean).astype(np.float32),
        attributes=faces.attributes,
        identity=faces.identity,
        rows=rows,
        attribute_names=data.attribute_names,
        dropped={},
        bench=bench,
    )


@pytest.fixture(scope="module")
def wanted(digits: DigitsDomain) -> NDArray[np.float32]:
    generator = load_generator(digits.generator)
    pictures = pictures_of(open_data(digits.files["val"]), 8)
    return latents_of(encoder_of(generator, "test"), pictures) - generator.space.mean


@pytest.fixture
def checkpoint(digits: DigitsDomain) -> LatentCheckpoint:
    return load_latent_checkpoint(digits.banks[1])


def test_a_bench_that_is_off_is_repaired_on_people_that_it_never_saw(
    digits: DigitsDomain, checkpoint: LatentCheckpoint, wanted: NDArray[np.float32]
) -> None:
    vectors = _measured(digits, checkpoint, 0.7, 0.08)
    tuned = finetune_latent(checkpoint, ShownVectors(vectors, wanted), None, 0)
    figures = tuned.figures
    assert tuned.chosen != START
    assert figures["latent_error_after"] < 0.9 * figures["latent_error_before"]
    assert figures["macro_auc_after"] > figures["macro_auc_before"]
    assert tuned.checkpoint.patterns.digest == checkpoint.patterns.digest  # the masks stay
    assert tuned.checkpoint.measurement_high.max() >= checkpoint.measurement_high.max()


def test_the_map_in_front_is_folded_into_the_encoder(
    digits: DigitsDomain, checkpoint: LatentCheckpoint, wanted: NDArray[np.float32]
) -> None:
    start = encoder_from(checkpoint, "test")
    shown = ShownVectors(_measured(digits, checkpoint, 0.7, 0.08), wanted)
    after = adapted(start, shown, INPUT, np.ones(wanted.shape[1:], np.float32), 0)
    for name, value in start.state_dict().items():
        same = torch.equal(value, after.state_dict()[name])
        assert same != name.startswith("standardise.running"), name


def test_what_cannot_learn_anything_keeps_the_start(
    digits: DigitsDomain, checkpoint: LatentCheckpoint, wanted: NDArray[np.float32]
) -> None:
    vectors = _measured(digits, checkpoint, 1.0, 0.0)
    shuffled = wanted[np.random.default_rng(0).permutation(len(wanted))]
    found = ShownVectors(replace(vectors, attributes=vectors.attributes), shuffled)
    start = encoder_from(checkpoint, "test")
    perfect = ShownVectors(vectors, start.offsets(torch.tensor(vectors.measurements)).numpy())
    tuned = finetune_latent(checkpoint, perfect, 40, 0)
    assert tuned.chosen == START
    assert tuned.checkpoint is checkpoint
    assert finetune_latent(checkpoint, found, 40, 0).figures["rows"] > 0


def test_vectors_that_do_not_belong_are_refused(
    digits: DigitsDomain, checkpoint: LatentCheckpoint, wanted: NDArray[np.float32]
) -> None:
    vectors = _measured(digits, checkpoint, 1.0, 0.0)
    other = replace(vectors, bench=replace(vectors.bench, pattern_digest="1" * 64))
    with pytest.raises(DataError, match="other masks"):
        finetune_latent(checkpoint, ShownVectors(other, wanted), None, 0)
    few = replace(vectors, identity=np.zeros(len(vectors), np.int64))
    with pytest.raises(DataError, match="people"):
        finetune_latent(checkpoint, ShownVectors(few, wanted), None, 0)
    unnamed = replace(vectors, attribute_names=tuple(f"x{k}" for k in range(len(vectors.attribute_names))))
    with pytest.raises(DataError, match="lack"):
        finetune_latent(checkpoint, ShownVectors(unnamed, wanted), None, 0)


def test_the_command_writes_a_checkpoint_that_loads(
    digits: DigitsDomain, checkpoint: LatentCheckpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_vectors(_measured(digits, checkpoint, 0.7, 0.08), tmp_path / "v.npz")
    words = ["train", "finetune-latent", str(digits.banks[1]), "--measurements", str(tmp_path / "v.npz")]
    words += ["--generator", str(digits.generator), "--data", str(digits.files["val"]), "--threads", "1"]
    output = tmp_path / "bench.npz"
    assert main([*words, "-o", str(output), "--shots", "60"]) == 0
    assert "chosen: " in capsys.readouterr().out
    record = load_latent_checkpoint(output).record["finetune"]
    assert record["command"].startswith("lsi train finetune-latent latent-d8.npz --measurements v.npz")
    assert str(tmp_path) not in str(record)
    assert main([*words, "-o", str(digits.banks[1])]) == 3
    assert main([*words, "-o", str(output), "--shots", "2"]) == 3
    assert main([*words, "-o", str(output), "--shots", "5000"]) == 20
    words[words.index("--data") + 1] = str(digits.files["train"])
    assert main([*words, "-o", str(output)]) == 20
    assert "other pictures" in capsys.readouterr().err


def test_a_generator_of_other_layers_is_refused(
    digits: DigitsDomain, checkpoint: LatentCheckpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.host.decoder.small_generator import small_generator  # noqa: PLC0415 - one test

    save_generator(small_generator(), tmp_path / "other.npz")
    save_vectors(_measured(digits, checkpoint, 1.0, 0.0), tmp_path / "v.npz")
    words = ["train", "finetune-latent", str(digits.banks[1]), "--measurements", str(tmp_path / "v.npz")]
    words += ["--generator", str(tmp_path / "other.npz"), "--data", str(digits.files["val"])]
    assert main([*words, "-o", str(tmp_path / "b.npz")]) == 20
    assert "another latent space" in capsys.readouterr().err
