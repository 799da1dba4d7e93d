"""The paper's encoder as a peer of ours in the same course."""

from dataclasses import replace

import pytest
import torch

from tests.digits_domain import DigitsDomain, latent_settings
from training.latent.latent_losses import LatentLosses
from training.latent.latent_training import LatentCourse
from training.paper.paper_student import PaperStudent


def test_it_learns_in_the_same_course_and_is_many_times_larger(digits: DigitsDomain) -> None:
    settings = replace(
        latent_settings(), nested=False, batch=10, losses=(("latent", 1.0), ("attributes", 0.5))
    )
    lesson = digits.latent_lesson
    student = PaperStudent(8, 4, 16, 11)
    losses = LatentLosses(settings, torch.zeros(4, 16), torch.ones(4, 16), None, None)
    course = LatentCourse(lesson, settings, losses, 1, student)
    before = student.narrow.weight.detach().clone()
    masks = course.mask_layer.logits.detach().clone()
    course.run_leg(1)
    assert not torch.equal(before, student.narrow.weight)
    assert not torch.equal(masks, course.mask_layer.logits)
    ours = digits.latent_course(settings, 1).encoder
    assert student.parameter_count > 10 * sum(each.numel() for each in ours.parameters())
    with pytest.raises(TypeError, match="no sizes"):
        course.results()


def test_it_takes_one_token_per_layer_from_first_to_last() -> None:
    with torch.device("meta"):
        student = PaperStudent(4, 10, 8, 3)
    assert student.chosen[0] == 0
    assert student.chosen[-1] == 17
    assert len(set(student.chosen)) == 10
    with pytest.raises(ValueError, match="prefixes"):
        student(torch.zeros(1, 4), 2)
