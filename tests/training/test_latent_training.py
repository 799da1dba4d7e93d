"""Masks and latent encoder on digits: they learn, resume exactly, and leave alone what is not theirs."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from host.decoder.decoder import OwnDecoder
from host.decoder.generator_file import load_generator
from lsi.errors import ConfigError, TrainingError
from lsi.latent import LatentForm
from tests.digits_domain import DigitsDomain
from training.data import open_data
from training.detectors import AD7383_4
from training.forward_model import Detector
from training.generator import encoder_of, latents_of
from training.latent_checkpoint import load_latent_checkpoint, save_latent_checkpoint
from training.latent_exam import LatentExam, answers, encoder_from
from training.latent_losses import LatentLosses
from training.latent_settings import LatentSettings
from training.latent_training import LatentCourse, LatentLesson
from training.mask_losses import energy_ladder, open_fraction
from training.whole_picture import pictures_of

SETTINGS = LatentSettings(
    d=8, batch=64, negatives=20, decoded=8, trunk=64, token=16, nested=True, mirrored=False,
    rate=3e-3, disturbance=None,
    losses=(("latent", 1.0), ("attributes", 0.5), ("presence", 0.3), ("pixel", 0.3)),
)  # fmt: skip
EPOCHS = 30
DETECTOR = Detector(AD7383_4.sensor, AD7383_4.samples, averaged=True)


@pytest.fixture(scope="module")
def lesson(digits: DigitsDomain) -> LatentLesson:
    data = open_data(digits.files["train"])
    faces, generator = data.faces(data.attribute_names), load_generator(digits.generator)
    pictures = pictures_of(data, 8)
    teacher = encoder_of(generator, "test")
    sides = [latents_of(teacher, pictures, is_mirrored=side) - generator.space.mean for side in (False, True)]
    others = open_data(digits.files["nonfaces"]).faces().luminance
    offsets = np.stack(sides).astype(np.float16)
    return LatentLesson(faces.luminance, offsets, faces.attributes, pictures, others, DETECTOR)


def _course(
    digits: DigitsDomain, lesson: LatentLesson, settings: LatentSettings, epochs: int
) -> LatentCourse:
    generator = load_generator(digits.generator)
    scale = torch.tensor(lesson.offsets[0].astype(np.float32).std(axis=0))
    mean, synthesis = torch.tensor(generator.space.mean), OwnDecoder(generator).network
    losses = LatentLosses(settings, mean, scale, synthesis if settings.needs_pictures else None, None)
    return LatentCourse(lesson, settings, losses, epochs)


@pytest.fixture(scope="module")
def trained(digits: DigitsDomain, lesson: LatentLesson) -> LatentCourse:
    course = _course(digits, lesson, SETTINGS, EPOCHS)
    course.run_leg(course.steps)
    return course


@pytest.fixture(scope="module")
def exam(digits: DigitsDomain) -> LatentExam:
    data = open_data(digits.files["val"])
    return LatentExam(
        data.faces(data.attribute_names), open_data(digits.files["nonfaces-val"]).faces(), DETECTOR
    )


def test_eight_numbers_tell_unseen_digits_apart_and_a_nested_bank_serves_four(
    digits: DigitsDomain, trained: LatentCourse, exam: LatentExam, tmp_path: Path
) -> None:
    form = load_generator(digits.generator).space.form
    small, whole = [exam.checkpoint(each, form, {}) for each in trained.results()]
    assert whole.record["figures"]["macro_auc"] > 0.85  # chance 0.5
    assert small.record["figures"]["macro_auc"] > 0.75
    assert (len(small.patterns), len(whole.patterns)) == (4, 8)
    assert whole.record["figures"]["presence_auc"] > 0.9
    save_latent_checkpoint(whole, tmp_path / "l.npz")
    loaded = load_latent_checkpoint(tmp_path / "l.npz")
    fields, masks = exam.faces.luminance[:5], np.array(whole.patterns.masks)
    there = answers(encoder_from(whole, "there"), masks, fields, DETECTOR)
    back = answers(encoder_from(loaded, "back"), np.array(loaded.patterns.masks), fields, DETECTOR)
    assert all(np.array_equal(a, b) for a, b in zip(there, back, strict=True))
    assert loaded.attributes == whole.attributes


def test_the_offset_is_nearer_to_the_teachers_than_the_mean(
    digits: DigitsDomain, trained: LatentCourse, exam: LatentExam
) -> None:
    generator = load_generator(digits.generator)
    pictures = pictures_of(open_data(digits.files["val"]), 8)
    wanted = latents_of(encoder_of(generator, "test"), pictures) - generator.space.mean
    whole = trained.results()[-1]
    found = answers(whole.encoder, whole.masks, exam.faces.luminance, DETECTOR)[0]
    assert np.abs(found - wanted).mean() < 0.9 * np.abs(wanted).mean()


def test_masks_move_unless_they_are_fixed(digits: DigitsDomain, lesson: LatentLesson) -> None:
    for is_fixed in (False, True):
        course = _course(digits, lesson, replace(SETTINGS, fixed_masks=is_fixed), 2)
        before = course.mask_layer.logits.detach().clone()
        course.run_leg(3)
        assert torch.equal(before, course.mask_layer.logits) == is_fixed


def test_the_generator_is_not_trained(digits: DigitsDomain, trained: LatentCourse) -> None:
    untouched = OwnDecoder(load_generator(digits.generator)).network.state_dict()
    assert trained.losses.synthesis is not None
    kept = trained.losses.synthesis.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in untouched.items())


def test_the_ladder_spreads_the_open_fractions(digits: DigitsDomain, lesson: LatentLesson) -> None:
    settings = replace(SETTINGS, losses=(("latent", 0.1), ("energy_ladder", 30.0)))
    course = _course(digits, lesson, settings, 20)
    with torch.no_grad():
        before = float(energy_ladder(course.mask_layer()))
    course.run_leg(60)
    with torch.no_grad():
        masks = course.mask_layer()
    assert float(energy_ladder(masks)) < 0.7 * before
    assert float(open_fraction(masks).min()) < 0.3


def test_an_interrupted_run_ends_where_the_whole_one_ends(digits: DigitsDomain, lesson: LatentLesson) -> None:
    whole = _course(digits, lesson, SETTINGS, 2)
    whole.run_leg(6)
    first = _course(digits, lesson, SETTINGS, 2)
    first.run_leg(2)
    state = copy.deepcopy(first.state())
    first.run_leg(2)
    second = _course(digits, lesson, SETTINGS, 2)
    second.restore(state)
    second.run_leg(4)
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name
    assert torch.equal(whole.mask_layer.logits, second.mask_layer.logits)


def test_a_loss_that_is_no_number_stops_the_run(digits: DigitsDomain, lesson: LatentLesson) -> None:
    course = _course(digits, lesson, SETTINGS, 2)
    with torch.no_grad():
        course.encoder.last.weight.fill_(torch.inf)
    with pytest.raises(TrainingError, match="latent"):
        course.run_leg(1)


def test_mirrored_scenes_get_the_latents_of_mirrored_pictures(
    digits: DigitsDomain, lesson: LatentLesson
) -> None:
    still = replace(
        SETTINGS, mirrored=True, jitter=replace(SETTINGS.jitter, shift=0.0, turn_rad=0.0, scale=0.0)
    )
    course = _course(digits, lesson, still, 1)
    scenes, wanted = course._batch()
    fields, sides = torch.tensor(lesson.fields), torch.tensor(lesson.offsets).float()
    seen = set()
    for row, scene in enumerate(scenes[: len(wanted.offsets)]):
        errors = torch.stack(
            [(fields - scene).abs().amax(dim=(1, 2)), (fields.flip(2) - scene).abs().amax(dim=(1, 2))]
        )
        side, index = divmod(int(errors.argmin()), len(fields))
        assert float(errors.min()) < 1e-4
        assert torch.equal(wanted.offsets[row], sides[side, index])
        if row < SETTINGS.decoded:
            picture = torch.tensor(lesson.pictures[index])
            assert torch.equal(wanted.pictures[row], picture.flip(1) if side else picture)
        seen.add(side)
    assert seen == {0, 1}


@pytest.mark.parametrize(
    "change",
    [
        {"d": 0},
        {"d": 513},
        {"losses": (("latents", 1.0),)},
        {"losses": (("latent", 1.0), ("latent", 1.0))},
        {"losses": (("latent", float("inf")),)},
        {"rate": float("nan")},
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(SETTINGS, **change)


def test_parts_that_do_not_fit_are_no_checkpoint(
    digits: DigitsDomain, trained: LatentCourse, exam: LatentExam
) -> None:
    good = exam.checkpoint(trained.results()[0], load_generator(digits.generator).space.form, {})
    with pytest.raises(ValueError, match="do not fit"):
        replace(good, space=LatentForm("digits", 4, 17, "0" * 64))
    with pytest.raises(ValueError, match="do not fit"):
        replace(good, patterns=trained.results()[1].masks)  # type: ignore[arg-type]  # what a caller may do
