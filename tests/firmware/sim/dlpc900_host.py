"""Raw messages to a simulated DLPC900: no driver takes part."""

from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.dlpc900_mirrors import Shown
from firmware.sim.dlpc900_sequencer import Waiting

US = 1_000
STOP, START = bytes([0]), bytes([2])
BLACK_LINE = bytes.fromhex("80 0F 00 00 00")
BLACK = BLACK_LINE + bytes.fromhex("00 01 80 0F") * 1079 + bytes.fromhex("00 01 00")


class Host:
    """Raw messages to a controller; keeps the last reply."""

    def __init__(self, waiting: Waiting = "hold") -> None:
        self.clock = SimClock(start_ns=77)
        self.chip = SimDlpc900(self.clock, waiting=waiting)
        self._sequence = 0

    def exchange(self, command: int, data: bytes = b"", flags: int = 0x40) -> bytes:
        self._sequence = (self._sequence + 1) % 256
        length = (2 + len(data)).to_bytes(2, "little")
        message = bytes([flags, self._sequence]) + length + command.to_bytes(2, "little") + data
        for start in range(0, len(message), 64):
            self.chip.write(message[start : start + 64].ljust(64, b"\0"))
        reply = self.chip.read(10)
        if reply:
            assert reply[1] == self._sequence
        return reply

    def code(self, command: int, data: bytes = b"") -> int:
        """Error code of a write: 0 unless bit 5 of the reply is set."""
        refused = bool(self.exchange(command, data)[0] & 0x20)
        code = self.read(0x0100)
        assert refused == (code != 0)
        return code

    def read(self, command: int) -> int:
        reply = self.exchange(command, flags=0xC0)
        assert reply[0] == 0xC0
        return reply[4]

    def do(self, command: int, data: bytes) -> None:
        assert self.code(command, data) == 0

    def enter_on_the_fly(self) -> None:
        self.do(0x1A1B, b"\x03")
        self.clock.advance(30_000_000)
        assert self.read(0x1A1B) == 3

    def upload(self, image: bytes, index: int = 0) -> int:
        """Code of the last block."""
        self.do(0x1A2A, index.to_bytes(2, "little") + len(image).to_bytes(4, "little"))
        code = 0
        for start in range(0, len(image), 504):
            block = image[start : start + 504]
            code = self.code(0x1A2B, len(block).to_bytes(2, "little") + block)
        return code

    def load(self, count: int = 2, exposure_us: int = 500) -> None:
        self.enter_on_the_fly()
        for k in range(count):
            self.do(0x1A34, definition(k, exposure_us, bit=k))
        self.do(0x1A31, configuration(count, count))
        assert self.upload(image()) == 0
        self.do(0x1A31, configuration(count, count))

    def state(self, after_ns: int = 0) -> Shown:
        return self.chip.showing_at(self.clock.now_ns() + after_ns)


def definition(
    index: int, exposure_us: int = 500, *, options: int = 0xF1, image: int = 0, bit: int = 0
) -> bytes:
    where = (image | bit << 11).to_bytes(2, "little")
    head = index.to_bytes(2, "little") + exposure_us.to_bytes(3, "little")
    return head + bytes([options, 0, 0, 0, 0]) + where


def configuration(entries: int, shown: int) -> bytes:
    return entries.to_bytes(2, "little") + shown.to_bytes(4, "little")


def image(compression: int = 2, body: bytes = BLACK, *, width: int = 1920) -> bytes:
    sizes = width.to_bytes(2, "little") + (1080).to_bytes(2, "little") + len(body).to_bytes(4, "little")
    return b"Spld" + sizes + b"\xff" * 8 + bytes(5) + bytes([compression, 1]) + bytes(21) + body
