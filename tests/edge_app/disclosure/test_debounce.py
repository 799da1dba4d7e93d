import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.disclosure.debounce import MAX_SCANS, Agreement, Quorum
from lsi.errors import AppConfigError

ANSWER = st.sampled_from([True, False, None])
QUORUM = st.integers(1, 9).flatmap(
    lambda of: st.builds(Quorum, agree=st.integers(of // 2 + 1, of), of=st.just(of))
)


@given(QUORUM, ANSWER, st.lists(ANSWER, max_size=40))
def test_an_answer_changes_only_when_a_quorum_of_the_last_scans_says_so(
    quorum: Quorum, first: bool | None, votes: list[bool | None]
) -> None:
    agreement = Agreement(quorum, first)
    before = first
    for number, vote in enumerate(votes, start=1):
        decided = agreement.vote(vote)
        window = votes[max(0, number - quorum.of) : number]
        agreed = [answer for answer in (True, False, None) if window.count(answer) >= quorum.agree]
        assert decided is (agreed[0] if agreed else before)
        before = decided


def test_one_noisy_scan_changes_nothing_with_two_of_three() -> None:
    agreement = Agreement(Quorum(), decided=True)
    assert [agreement.vote(vote) for vote in (True, False, True, None, True)] == [True] * 5


def test_a_true_change_is_told_with_the_second_scan_that_sees_it() -> None:
    agreement = Agreement(Quorum(), decided=False)
    assert [agreement.vote(vote) for vote in (False, True, True)] == [False, False, True]


@pytest.mark.parametrize(
    ("agree", "of"), [(0, 1), (1, 2), (2, 4), (4, 3), (0, 0), (-1, -3), (40, MAX_SCANS + 1)]
)
def test_a_quorum_that_cannot_decide_is_refused(agree: int, of: int) -> None:
    with pytest.raises(AppConfigError, match="2 of 3"):
        Quorum(agree, of)
