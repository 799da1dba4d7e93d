import pytest

from lsi.errors import PayloadError
from lsi.problems import Problem
from lsi.status import HealthPayload, InfoPayload

INFO = InfoPayload(
    device_id="hall1",
    stream="0123456789abcdef",
    software="0.1.0",
    board="sim-mcp3208",
    simulated=True,
    mode="attr-lite",
    policy="01234567",
    attributes=("Smiling",),
    d=16,
    bundle_name="attr-lite-16",
    bundle_version="0.1.0",
    bundle_id="89abcdef",
)
HEALTH = HealthPayload(
    device_id="hall1",
    stream="0123456789abcdef",
    problems=frozenset({Problem.SATURATED, Problem.LOW_LIGHT}),
    scans=9,
    scans_failed=2,
    reconnects=1,
)


def test_info_survives_the_wire() -> None:
    assert InfoPayload.decode(INFO.encode()) == INFO


def test_health_survives_the_wire() -> None:
    assert HealthPayload.decode(HEALTH.encode()) == HEALTH


def test_health_says_problem_when_there_is_one() -> None:
    assert b'"problem":true,"problems":["low_light","saturated"]' in HEALTH.encode()


@pytest.mark.parametrize("problem", list(Problem))
def test_every_problem_is_in_the_schema(problem: Problem) -> None:
    health = HealthPayload("hall1", "0123456789abcdef", frozenset({problem}), 1, 1, 0)
    assert HealthPayload.decode(health.encode()) == health


def test_a_problem_in_free_words_is_refused() -> None:
    with pytest.raises(PayloadError):
        HealthPayload.decode(HEALTH.encode().replace(b"saturated", b"call-me"))


def test_an_unknown_key_in_info_is_refused_and_named() -> None:
    with pytest.raises(PayloadError, match=r"unknown key 'boards'.*did you mean 'board'"):
        InfoPayload.decode(INFO.encode().replace(b'"board":', b'"boards":'))
