import re

from edge_app.wall_clock import SystemWallClock


def test_the_time_stamp_is_rfc_3339_in_utc_with_milliseconds() -> None:
    stamp = SystemWallClock().timestamp()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)


def test_the_kernel_says_whether_the_clock_follows_a_server() -> None:
    assert SystemWallClock().source() in {"ntp", "unsynced"}
