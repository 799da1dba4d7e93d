from hypothesis import given
from hypothesis import strategies as st

from lsi.frozen import digest_of


@given(st.lists(st.binary(max_size=9), max_size=4), st.lists(st.binary(max_size=9), max_size=4))
def test_equal_digests_mean_equal_parts(one: list[bytes], two: list[bytes]) -> None:
    assert (digest_of(*one) == digest_of(*two)) == (one == two)


def test_where_one_part_ends_counts() -> None:
    assert digest_of(b"ab", b"c") != digest_of(b"a", b"bc")
