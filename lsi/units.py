"""Unit conversions between counts, volts, nanoseconds and watts, and nothing else."""

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
W_PER_NW = 1e-9


def ns_to_ms(duration_ns: int) -> float:
    """Nanoseconds to milliseconds."""
    return duration_ns / NS_PER_MS


def us_to_ns(duration_us: float) -> int:
    """Microseconds to whole nanoseconds."""
    return round(duration_us * NS_PER_US)


def nw_to_w(power_nw: float) -> float:
    """Nanowatts to watts."""
    return power_nw * W_PER_NW
