"""The critic learns to tell pictures apart, the generator's loss follows it, and a run goes on exactly."""

import copy
from dataclasses import replace

import pytest
import torch

from host.decoder.synthesis import SynthesisShape
from tests.digits_domain import DigitsDomain
from training.generator.adversary import Adversary
from training.generator.generator import CRITIC, GeneratorCourse, GeneratorLesson
from training.generator.generator_settings import ADVERSARIAL, DEFAULT_LOSSES, GeneratorSettings

SETTINGS = GeneratorSettings(
    "digits",
    SynthesisShape(8, 8, (8, 8)),
    batch=16,
    mirrored=False,
    losses=(*DEFAULT_LOSSES, (ADVERSARIAL, 0.05)),
)


@pytest.fixture
def lesson(digits: DigitsDomain) -> GeneratorLesson:
    return replace(digits.lesson, pictures=digits.lesson.pictures[:64], labels=digits.lesson.labels[:64])


def test_a_critic_learns_what_is_real_and_the_generators_loss_says_so() -> None:
    torch.manual_seed(0)
    adversary = Adversary((8, 8), seed=0)
    real, made = torch.rand(32, 3, 8, 8), -torch.rand(32, 3, 8, 8)
    first = float(adversary.teach(made, real))
    for _ in range(60):
        last = float(adversary.teach(made, real))
    assert last < 0.5 * first
    assert float(adversary.judge(real)) < float(adversary.judge(made)) - 0.5


def test_judging_teaches_the_generator_and_not_the_critic() -> None:
    adversary = Adversary((8, 8), seed=0)
    made = torch.rand(4, 3, 8, 8, requires_grad=True)
    before = copy.deepcopy(adversary.critic.state_dict())
    adversary.judge(made).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    assert made.grad is not None
    assert bool(made.grad.abs().sum() > 0)
    assert all(parameter.grad is None for parameter in adversary.critic.parameters())
    assert all(torch.equal(value, adversary.critic.state_dict()[name]) for name, value in before.items())


def test_the_phase_begins_in_the_last_part_of_the_run(lesson: GeneratorLesson) -> None:
    course = GeneratorCourse(lesson, SETTINGS, epochs=2)
    assert ADVERSARIAL not in course.run_leg(4)
    assert {ADVERSARIAL, CRITIC} <= set(course.run_leg(2))
    plain = GeneratorCourse(lesson, replace(SETTINGS, losses=DEFAULT_LOSSES), epochs=2)
    assert ADVERSARIAL not in plain.run_leg(6)


def test_a_phase_that_begins_within_a_leg_is_told(lesson: GeneratorLesson) -> None:
    assert ADVERSARIAL in GeneratorCourse(lesson, SETTINGS, epochs=2).run_leg(6)


def test_an_interrupted_phase_ends_where_the_whole_one_ends(lesson: GeneratorLesson) -> None:
    whole = GeneratorCourse(lesson, SETTINGS, epochs=2)
    whole.run_leg(8)
    first = GeneratorCourse(lesson, SETTINGS, epochs=2)
    first.run_leg(6)
    second = GeneratorCourse(lesson, SETTINGS, epochs=2)
    second.restore(first.state())
    second.run_leg(2)
    assert whole.adversary is not None
    assert second.adversary is not None
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(value, second.averaged.state_dict()[name]), name
    for name, value in whole.adversary.critic.state_dict().items():
        assert torch.equal(value, second.adversary.critic.state_dict()[name]), name
