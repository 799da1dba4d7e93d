"""The part that only a board can run: pins, state machines, DMA and the USB line.

UNMEASURED, all of it: no RP2040 or RP2350 has run this file. Open are the rate of the
USB line out of MicroPython, the DMA's behaviour at the ring's end, what reading the edge
counter does to a state machine that waits, and the jitter of the first conversion.
"""

import os
import select
import struct
import sys
import time

import machine
import micropython
import rp2
import uctypes

from . import ad7383, pio, timing
from .ports import Capture, Line, RegisterPort
from .session import Session

SCLK, CS, SDO, TRIGGER, SDI = 2, 3, 4, 5, 6
"""GPIO numbers; SCLK and CS, and SDO and TRIGGER, have to be neighbours in this order."""
RING_BITS = 15
"""32 KiB: the largest ring that the DMA's write address wraps in (RP2040 data sheet, 2.5)."""
REGISTER_HZ = 1_000_000
_SAMPLER, _COUNTER = 0, 1
_RX_REQUEST_OF_PIO0 = 4
_WORD_TRANSFERS = 2
# FDEBUG of PIO0; its four lowest bits are RXSTALL, cleared by writing 1 (RP2040 data sheet, 3.7).
_FDEBUG = 0x50200008
_CHIPS = {"RP2040": 1, "RP2350": 2}


class UsbLine(Line):
    """MicroPython's own USB serial line, unchanged bytes."""

    def write(self, data: bytes | memoryview) -> None:
        """Send; waits for the host."""
        sys.stdout.buffer.write(data)


class PinRegisterPort(RegisterPort):
    """The register protocol by software, on the pins that PIO uses later."""

    def __init__(self) -> None:
        self._select = machine.Pin(CS, machine.Pin.OUT, value=1)
        self._spi = machine.SoftSPI(
            baudrate=REGISTER_HZ,
            polarity=1,
            phase=1,
            sck=machine.Pin(SCLK),
            mosi=machine.Pin(SDI),
            miso=machine.Pin(SDO),
        )

    def exchange(self, word: int) -> int:
        """One word; see ``RegisterPort``."""
        received = bytearray(2)
        self._select(0)
        self._spi.write_readinto(struct.pack(">H", word), received)
        self._select(1)
        return int(struct.unpack(">H", received)[0])

    def sleep_ms(self, duration_ms: int) -> None:
        """Wait; see ``RegisterPort``."""
        time.sleep_ms(duration_ms)


class PioCapture(Capture):
    """Two state machines of PIO0 and one DMA channel."""

    def __init__(self) -> None:
        self.clock_hz = machine.freq()
        self.ring_words = (1 << RING_BITS) // 4
        # Room for a ring that starts at a multiple of its size, wherever the heap puts it.
        self._room = bytearray(2 << RING_BITS)
        start = -uctypes.addressof(self._room) % (1 << RING_BITS)
        self.ring = memoryview(self._room)[start : start + (1 << RING_BITS)]
        self._words = 0
        self._dma = rp2.DMA()
        self._sampler = self._counter = None

    def answers(self) -> bool:
        """Reset the converter; see ``Capture``."""
        answered = ad7383.start(PinRegisterPort())
        # SDI stays low while sampling: a word of zeros asks for nothing.
        machine.Pin(SDI, machine.Pin.OUT, value=0)
        return answered

    def start(self, divider: int, guard_loops: int, samples: int, masks: int) -> None:
        """Arm PIO and DMA; see ``Capture``."""
        self.stop()
        rp2.PIO(0).remove_program()
        machine.mem32[_FDEBUG] = 0xF
        machine.Pin(TRIGGER, machine.Pin.IN, machine.Pin.PULL_DOWN)
        inputs = machine.Pin(SDO, machine.Pin.IN)
        self._sampler = rp2.StateMachine(
            _SAMPLER,
            pio.sample,
            freq=self.clock_hz // divider,
            in_base=inputs,
            sideset_base=machine.Pin(SCLK),
        )
        self._counter = rp2.StateMachine(_COUNTER, pio.count_edges, freq=self.clock_hz, in_base=inputs)
        self._counter.exec("set(x, 0)")
        self._words = masks * (samples + 1)
        control = self._dma.pack_ctrl(
            inc_read=False,
            inc_write=True,
            ring_sel=True,
            ring_size=RING_BITS,
            size=_WORD_TRANSFERS,
            treq_sel=_RX_REQUEST_OF_PIO0 + _SAMPLER,
        )
        self._dma.config(read=self._sampler, write=self.ring, count=self._words, ctrl=control, trigger=True)
        self._counter.active(1)
        self._sampler.active(1)
        self._sampler.put(timing.state_word(guard_loops, samples))

    def written_words(self) -> int:
        """What the DMA has moved; see ``Capture``."""
        return self._words - self._dma.count

    def edges(self) -> int:
        """Ask the counter for X; see ``Capture``."""
        if self._counter is None:
            return 0
        self._counter.exec("mov(isr, x)")
        self._counter.exec("push(noblock)")
        return -self._counter.get() & 0xFFFFFFFF

    def stalled(self) -> bool:
        """RXSTALL of the sampler; see ``Capture``."""
        return bool(machine.mem32[_FDEBUG] & 1 << _SAMPLER)

    def now_us(self) -> int:
        """See ``Capture``."""
        return time.ticks_us()

    def elapsed_us(self, since_us: int) -> int:
        """See ``Capture``."""
        return time.ticks_diff(time.ticks_us(), since_us)

    def stop(self) -> None:
        """Halt the sampler and the DMA; the counter goes on. See ``Capture``."""
        if self._sampler is not None:
            self._sampler.active(0)
            # Pause first: a channel that is switched off keeps its count, and the count is read later.
            self._dma.active(0)


def run() -> None:
    """Serve the USB line for ever; start anew after any error."""
    micropython.kbd_intr(-1)  # 3 is a byte like any other here
    capture = PioCapture()
    chip = next((number for name, number in _CHIPS.items() if name in os.uname().machine), 0)
    session = Session(chip, struct.unpack("<I", os.urandom(4))[0], capture, UsbLine())
    incoming = select.poll()
    incoming.register(sys.stdin.buffer, select.POLLIN)
    try:
        session.boot()
        while True:
            while incoming.poll(0):
                session.receive(sys.stdin.buffer.read(1))
            session.poll()
    except Exception:  # noqa: BLE001 - whatever it was, the host learns of it by the boot frame
        machine.reset()
