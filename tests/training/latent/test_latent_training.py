"""Masks and latent encoder on digits: they learn, resume exactly, and leave alone what is not theirs."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from host.decoder.decoder import OwnDecoder
from host.decoder.generator_file import load_generator
from lsi.errors import ConfigError, TrainingError
from lsi.latent import LatentForm
from tests.digits_domain import DigitsDomain, latent_settings
from training.data_sets.data import open_data
from training.data_sets.whole_picture import pictures_of
from training.generator.generator import encoder_of, latents_of
from training.latent.latent_checkpoint import load_latent_checkpoint
from training.latent.latent_encoder import LatentEncoder
from training.latent.latent_exam import answers, encoder_from
from training.latent.latent_training import LatentCourse, LatentLesson
from training.mask_banks.mask_losses import energy_ladder, open_fraction

SETTINGS = latent_settings()


@pytest.fixture
def lesson(digits: DigitsDomain) -> LatentLesson:
    return digits.latent_lesson


@pytest.fixture
def trained(digits: DigitsDomain) -> LatentCourse:
    return digits.trained


def test_eight_numbers_tell_unseen_digits_apart_and_the_same_bank_serves_four(digits: DigitsDomain) -> None:
    small, whole = map(load_latent_checkpoint, digits.banks)
    assert whole.record["figures"]["macro_auc"] > 0.85  # chance 0.5
    assert small.record["figures"]["macro_auc"] > 0.7
    assert whole.record["figures"]["presence_auc"] > 0.9
    assert (len(small.patterns), len(whole.patterns)) == (4, 8)
    assert np.array_equal(small.patterns.masks, whole.patterns.masks[:4])


def test_a_checkpoint_answers_as_the_trained_bank(digits: DigitsDomain) -> None:
    loaded, trained = load_latent_checkpoint(digits.banks[1]), digits.trained.results()[1]
    fields = open_data(digits.files["val"]).faces(rows=np.arange(5)).luminance
    there = answers(trained.encoder, trained.masks, fields, digits.detector)
    back = answers(encoder_from(loaded, "back"), np.array(loaded.patterns.masks), fields, digits.detector)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(there, back, strict=True))


def test_the_offset_is_nearer_to_the_teachers_than_the_mean(digits: DigitsDomain) -> None:
    generator, val = load_generator(digits.generator), open_data(digits.files["val"])
    wanted = latents_of(encoder_of(generator, "test"), pictures_of(val, 8)) - generator.space.mean
    whole = digits.trained.results()[-1]
    found = answers(whole.encoder, whole.masks, val.faces().luminance, digits.detector)[0]
    assert np.abs(found - wanted).mean() < 0.92 * np.abs(wanted).mean()


def test_masks_move_unless_they_are_fixed(digits: DigitsDomain) -> None:
    for is_fixed in (False, True):
        course = digits.latent_course(replace(SETTINGS, fixed_masks=is_fixed), 2)
        before = course.mask_layer.logits.detach().clone()
        course.run_leg(3)
        assert torch.equal(before, course.mask_layer.logits) == is_fixed


def test_the_generator_is_not_trained(digits: DigitsDomain, trained: LatentCourse) -> None:
    untouched = OwnDecoder(load_generator(digits.generator)).network.state_dict()
    assert trained.losses.synthesis is not None
    kept = trained.losses.synthesis.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in untouched.items())


def test_the_ladder_spreads_the_open_fractions(digits: DigitsDomain) -> None:
    settings = replace(SETTINGS, losses=(("latent", 0.1), ("energy_ladder", 30.0)))
    course = digits.latent_course(settings, 20)
    with torch.no_grad():
        before = float(energy_ladder(course.mask_layer()))
    course.run_leg(60)
    with torch.no_grad():
        masks = course.mask_layer()
    assert float(energy_ladder(masks)) < 0.7 * before
    assert float(open_fraction(masks).min()) < 0.3


def test_an_interrupted_run_ends_where_the_whole_one_ends(digits: DigitsDomain) -> None:
    whole = digits.latent_course(SETTINGS, 2)
    whole.run_leg(6)
    first = digits.latent_course(SETTINGS, 2)
    first.run_leg(2)
    state = copy.deepcopy(first.state())
    first.run_leg(2)
    second = digits.latent_course(SETTINGS, 2)
    second.restore(state)
    second.run_leg(4)
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name
    assert torch.equal(whole.mask_layer.logits, second.mask_layer.logits)


def test_a_loss_that_is_no_number_stops_the_run(digits: DigitsDomain) -> None:
    course = digits.latent_course(SETTINGS, 2)
    assert isinstance(course.encoder, LatentEncoder)
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
    course = digits.latent_course(still, 1)
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


def test_a_bank_goes_on_from_a_trained_one_and_grows(digits: DigitsDomain) -> None:
    bank = load_latent_checkpoint(digits.banks[1])
    masks, encoder = np.array(bank.patterns.masks), encoder_from(bank, "bank")
    measured = torch.randn(20, 12, generator=torch.Generator().manual_seed(0)) / 10
    wanted = encoder(measured[:, :8])
    for d, nested in ((8, False), (12, True)):
        course = digits.latent_course(replace(SETTINGS, d=d, nested=nested), 1)
        assert isinstance(course.encoder, LatentEncoder)
        course.start_from(masks, encoder)
        grown = course.mask_layer().detach().numpy() > 0
        assert np.array_equal(grown[:8], masks)
        for size in (8, d):  # masks beyond are not heard at first
            found = course.encoder.at(size)(measured[:, :size])
            assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(wanted, found, strict=True))


def test_a_bank_that_does_not_fit_is_no_start(digits: DigitsDomain) -> None:
    bank = load_latent_checkpoint(digits.banks[1])
    encoder = encoder_from(bank, "bank")
    for settings in (replace(SETTINGS, d=4), replace(SETTINGS, trunk=32)):
        course = digits.latent_course(settings, 1)
        with pytest.raises(ConfigError, match="cannot start"):
            course.start_from(np.array(bank.patterns.masks), encoder)


def test_a_teachers_answers_are_what_is_learned(digits: DigitsDomain, lesson: LatentLesson) -> None:
    flipped = (lesson.labels < 0).astype(np.float32)
    soft = replace(lesson, soft=flipped)
    settings = replace(SETTINGS, soft_weight=1.0, rarity=0.5)
    losses = digits.latent_course(settings, 1).losses
    course = LatentCourse(soft, settings, losses, 1)
    _, wanted = course._batch()
    rows = torch.randperm(len(lesson.labels), generator=torch.Generator().manual_seed(settings.seed + 1))
    assert torch.equal(wanted.targets, torch.tensor(flipped)[rows[: settings.batch]])
    assert losses.rarity is not None
    assert losses.rarity.mean() == pytest.approx(
        (1 / 9) ** 0.5, abs=0.02
    )  # now the digit's own class is rare no more


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


def test_parts_that_do_not_fit_are_no_checkpoint(digits: DigitsDomain, trained: LatentCourse) -> None:
    good = load_latent_checkpoint(digits.banks[0])
    with pytest.raises(ValueError, match="do not fit"):
        replace(good, space=LatentForm("digits", 4, 17, "0" * 64))
    with pytest.raises(ValueError, match="do not fit"):
        replace(good, patterns=trained.results()[1].masks)  # type: ignore[arg-type]  # what a caller may do
