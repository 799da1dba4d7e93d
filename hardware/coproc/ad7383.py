"""Start-up of an AD7383 (AD7380 family), as words of its register protocol.

Ref: Linux drivers/iio/adc/ad7380.c. 16-bit words, most significant bit first: bit 15 write,
14:12 address, 11:0 value; the answer to a read comes with the next word. Registers at
10 MHz at most.
"""

from .ports import RegisterPort

CONFIG2 = 2
_WRITE = 0x8000
_HARD_RESET = 0x0FF
_ONE_SDO_LINE = 0x100
_VALUE = 0xFFF
_NOTHING = 0x0000
RESET_MS = 5
"""Power-up of the internal reference; a hard reset may need it again (unverified)."""


def write_word(address: int, value: int) -> int:
    """Set a register."""
    return _WRITE | address << 12 | value


def read_word(address: int) -> int:
    """Ask for a register; its value is the low 12 bits of the next answer."""
    return address << 12


def start(port: RegisterPort) -> bool:
    """Reset, then both results on one line. Whether the converter answers as set."""
    port.exchange(write_word(CONFIG2, _HARD_RESET))
    port.sleep_ms(RESET_MS)
    port.exchange(write_word(CONFIG2, _ONE_SDO_LINE))
    port.exchange(read_word(CONFIG2))
    return port.exchange(_NOTHING) & _VALUE == _ONE_SDO_LINE
