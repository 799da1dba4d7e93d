"""Programs of the state machines, for MicroPython's assembler.

Pins, in order: SDO of the converter and TRIG_OUT_1 of the DMD controller as inputs,
SCLK and CS as side-set outputs. The names inside the programs are put there by
``asm_pio``.
"""
# ruff: noqa: F821 - the assembler provides wait, jmp, out and the rest while a program is assembled

from rp2 import PIO, asm_pio

# Side-set, and what it means on the wires:
#
#            CS SCLK
#     0b11    1  1     between conversions
#     0b01    0  1     selected, clock high
#     0b00    0  0     selected, clock low


@asm_pio(
    sideset_init=(PIO.OUT_HIGH, PIO.OUT_HIGH),
    in_shiftdir=PIO.SHIFT_LEFT,
    out_shiftdir=PIO.SHIFT_RIGHT,
)
def sample() -> None:
    """Wait for the edge, guard, convert K times, tell whether the exposure still lasted.

    Given once: ``timing.state_word``. Per exposure it pushes K - 1 words, the closing word and
    the last word. A word is channel A in its upper half and B in its lower; bit 1 of the closing
    word is the level of the trigger one frame after the last conversion.

    A conversion starts when CS falls and comes out in the next frame, so there are K + 1
    frames and the first one's word is shifted out again by the second. SCLK idles high and
    SDO is read as SCLK rises (SPI mode 3: ``spi-cpol`` and ``spi-cpha`` in Linux' binding
    adi,ad7380; the data sheet's mode is unverified). The synchroniser makes that a reading from
    before the edge, which is right for mode 2 as well. ``noblock``: the spacing never
    changes; a word that finds the FIFO full is lost and sets RXSTALL.
    """
    pull(block).side(0b11)
    mov(x, osr).side(0b11)
    wrap_target()
    wait(0, pin, 1).side(0b11)
    wait(1, pin, 1).side(0b11)
    mov(osr, x).side(0b11)
    out(y, 16).side(0b11)
    label("guard")
    jmp(y_dec, "guard").side(0b11)
    out(y, 16).side(0b11)
    # The first conversion. Moving into OSR makes it full: it counts the 32 bits of a frame.
    mov(osr, null).side(0b01)
    label("first")
    out(null, 1).side(0b00)[1]
    in_(pins, 1).side(0b01)
    jmp(not_osre, "first").side(0b01)
    jmp("next").side(0b11)
    # K - 1 frames. Both ways from one frame to the next take the same four cycles.
    label("frame")
    nop().side(0b11)[1]
    mov(osr, null).side(0b01)
    label("bit")
    out(null, 1).side(0b00)[1]
    in_(pins, 1).side(0b01)
    jmp(not_osre, "bit").side(0b01)
    push(noblock).side(0b11)
    label("next")
    jmp(y_dec, "frame").side(0b11)
    # All K are converted: the closing word, then the frame that brings the last result.
    in_(pins, 2).side(0b11)
    push(noblock).side(0b11)
    mov(osr, null).side(0b01)
    label("last")
    out(null, 1).side(0b00)[1]
    in_(pins, 1).side(0b01)
    jmp(not_osre, "last").side(0b01)
    push(noblock).side(0b11)
    wrap()


@asm_pio()
def count_edges() -> None:
    """Count X down by one with every rising edge of the trigger, sampled or not."""
    label("again")
    wait(0, pin, 1)
    wait(1, pin, 1)
    jmp(x_dec, "again")
