from hypothesis import given
from hypothesis import strategies as st

from transport.timing import Liveness


def test_a_broker_that_acknowledges_and_pings_is_alive() -> None:
    liveness = Liveness(keepalive_s=15, acknowledge_s=10, now_s=100)
    assert liveness.fault(122.4, None) is None
    liveness.heard(122)
    assert liveness.fault(140, 131) is None


def test_silence_of_one_and_a_half_keepalives_is_the_end() -> None:
    liveness = Liveness(keepalive_s=15, acknowledge_s=10, now_s=100)
    assert liveness.fault(122.4, None) is None
    assert liveness.fault(122.5, None) == "silent for 22.5 s"


def test_a_message_without_acknowledgement_is_the_end_however_much_else_is_heard() -> None:
    liveness = Liveness(keepalive_s=15, acknowledge_s=10, now_s=100)
    liveness.heard(109.9)
    assert liveness.fault(109.9, 100) is None
    assert liveness.fault(110, 100) == "nothing acknowledged for 10 s"


def test_a_broker_that_wants_no_pings_is_judged_by_acknowledgements_alone() -> None:
    liveness = Liveness(keepalive_s=0, acknowledge_s=10, now_s=0)
    assert liveness.fault(1e6, None) is None
    assert liveness.fault(1e6, 1.0) is not None


@given(st.floats(1, 30), st.floats(0, 100), st.floats(0, 100))
def test_hearing_from_the_broker_never_brings_the_end_nearer(
    keepalive_s: float, heard_s: float, now_s: float
) -> None:
    without, with_it = Liveness(keepalive_s, 10, 0), Liveness(keepalive_s, 10, 0)
    with_it.heard(heard_s)
    if without.fault(now_s, None) is None:
        assert with_it.fault(now_s, None) is None
