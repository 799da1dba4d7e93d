"""What the sections of a board file must have to do with each other, each with its reason.

The schema knows keys and ranges; the rules here know physics and wires.
"""

from collections.abc import Callable, Iterator
from typing import Final

from firmware.boards.board_parts import (
    CONVERTERS,
    Board,
    ConverterWiring,
    CoprocessorWiring,
    ScanMode,
)
from firmware.interfaces import TRIG_OUT_1_EARLY_FALL_US
from hardware.coproc.timing import BIT_CYCLES, FRAME_CYCLES
from lsi.errors import BoardConfigError
from lsi.measurement import ArmLayout
from lsi.units import NS_PER_S, NS_PER_US

Problem = tuple[str, str]
"""What was found, and what to write instead."""


def check_board(board: Board, source: str) -> None:
    """Raise the first rule that ``board`` breaks.

    Args:
        board: As its file says.
        source: How the message calls the file.

    Raises:
        BoardConfigError: With the reason and what to change.
    """
    for rule in _RULES:
        for found, hint in rule(board):
            raise BoardConfigError(f"{source}: {found}", hint=hint)


def _parts_of_the_mode(board: Board) -> Iterator[Problem]:
    """A mode needs the parts that it works with, and another mode's parts are a mistake."""
    if board.mode is ScanMode.COPROC:
        if board.coprocessor is None:
            yield 'scan.mode "coproc" without a co-processor.', "a section [coprocessor]."
        if board.converter is not None:
            yield (
                "[converter] beside [coprocessor]: one of two converters would not be read.",
                "no section [converter]; the co-processor holds it.",
            )
        return
    if board.coprocessor is not None:
        yield f'[coprocessor] has no part in scan.mode "{board.mode}".', 'scan.mode = "coproc".'
    if board.converter is None:
        yield f'scan.mode "{board.mode}" without a converter.', "a section [converter]."


def _trigger_wires(board: Board) -> Iterator[Problem]:
    if board.simulated:
        if board.trigger is not None:
            yield "[trigger] on a simulated board, which has no GPIO.", "no section [trigger]."
        return
    if board.trigger is None:
        if board.mode is ScanMode.STEPPED:
            yield (
                'scan.mode "stepped": the host advances each mask over GPIO.',
                "a section [trigger] with the two lines that are wired to the controller.",
            )
        return
    if board.trigger.advance_line == board.trigger.exposure_line:
        yield "trigger: advance_line and exposure_line are one line.", "two different lines."


def _devices(board: Board) -> Iterator[Problem]:
    """Real boards name their nodes; simulated ones have none."""
    sections = {"converter": board.converter, "coprocessor": board.coprocessor}
    for name, wiring in sections.items():
        if wiring is None:
            continue
        if board.simulated and wiring.device is not None:
            yield f"{name}.device on a simulated board, which opens none.", "leave the key out."
        if not board.simulated and wiring.device is None:
            yield f"{name}.device is missing.", "the node in /dev that the board is wired to."


def _fits_converter(board: Board) -> Iterator[Problem]:
    if board.coprocessor is not None:
        yield from _of_kind(board.coprocessor.converter, board.coprocessor, "coprocessor", board)
    if board.converter is not None:
        yield from _of_kind(board.converter.kind, board.converter, "converter", board)
        yield from _stream_channels(board.converter, board.mode)
        if board.converter.oversampling > 1 and not CONVERTERS[board.converter.kind].averages:
            yield (
                f"converter.oversampling: {board.converter.kind} averages nothing.",
                "more scan.samples_per_pattern.",
            )


def _of_kind(
    kind: str, wiring: ConverterWiring | CoprocessorWiring, section: str, board: Board
) -> Iterator[Problem]:
    facts = CONVERTERS[kind]
    if wiring.spi_hz > facts.max_spi_hz:
        yield f"{section}.spi_hz {wiring.spi_hz}: too fast for {kind}.", f"at most {facts.max_spi_hz}."
    if board.sensor.adc_bits != facts.adc_bits:
        yield f"sensor.adc_bits {board.sensor.adc_bits}, but {kind} has {facts.adc_bits}.", "the converter's."
    for channel in _channels(wiring):
        if channel >= facts.channels:
            yield (
                f"{section}: channel {channel}, but {kind} has {facts.channels}.",
                f"0 to {facts.channels - 1}, and two arms only where there are two inputs.",
            )
    channels = _channels(wiring)
    if wiring.arm_plus_channel == wiring.arm_minus_channel:
        yield f"{section}: both arms are on one channel.", "two different channels."
    if len(set(channels)) < len(channels):
        yield f"{section}: two signals on one channel.", "a channel of its own for each."


def _channels(wiring: ConverterWiring | CoprocessorWiring) -> list[int]:
    extra = (wiring.trigger_channel, wiring.lamp_channel) if isinstance(wiring, ConverterWiring) else ()
    return [*wiring.arm_channels, *(channel for channel in extra if channel is not None)]


def _stream_channels(converter: ConverterWiring, mode: ScanMode) -> Iterator[Problem]:
    """Trigger and lamp are told apart from the arms in time, so all have to be sampled at once."""
    extra = {"trigger_channel": converter.trigger_channel, "lamp_channel": converter.lamp_channel}
    if mode is not ScanMode.OVERSAMPLED:
        for key, channel in extra.items():
            if channel is not None:
                yield f'converter.{key} is not read in scan.mode "{mode}".', 'scan.mode = "oversampled".'
        return
    facts = CONVERTERS[converter.kind]
    if not facts.simultaneous or facts.channels == 1:
        yield (
            f'scan.mode "oversampled" needs arms and trigger sampled at once; {converter.kind} cannot.',
            "an ad7383-4, or an ad7380 or ad7383 with one arm.",
        )
    if converter.trigger_channel is None:
        yield (
            'scan.mode "oversampled" finds the masks by the digitised trigger.',
            "converter.trigger_channel, wired to TRIG_OUT_1.",
        )


def _arms(board: Board) -> Iterator[Problem]:
    channels = board.arm_channels
    if board.layout is ArmLayout.TWO and len(channels) == 1:
        yield (
            'scan.arms "two" without arm_minus_channel.',
            'arm_minus_channel, or scan.arms = "complementary" or "one-with-reference".',
        )
    if board.layout is not ArmLayout.TWO and len(channels) > 1:
        yield f'scan.arms "{board.layout}" would not read arm_minus_channel.', 'scan.arms = "two".'


def _time(board: Board) -> Iterator[Problem]:
    """A bound from below: clocks and spacing alone, without what the host adds."""
    plan = board.plan
    usable_ns = plan.exposure_ns - plan.settle_ns
    if board.coprocessor is not None:
        usable_ns -= TRIG_OUT_1_EARLY_FALL_US * NS_PER_US
    needed_ns = _sampling_ns(board)
    if needed_ns > usable_ns:
        samples = plan.samples_per_pattern
        yield (
            f"scan: {samples} samples take at least {needed_ns} ns of {usable_ns} ns after settling.",
            "raise scan.exposure_us, or lower scan.samples_per_pattern.",
        )
    if 2 * board.trimmed_count >= plan.samples_per_pattern:
        yield (
            f"scan.trimmed_samples {board.trimmed_count} of {plan.samples_per_pattern} at either end.",
            "less than half of scan.samples_per_pattern.",
        )


def _sampling_ns(board: Board) -> int:
    samples = board.plan.samples_per_pattern
    if board.coprocessor is not None:
        return samples * FRAME_CYCLES * NS_PER_S // (BIT_CYCLES * board.coprocessor.spi_hz)
    if board.converter is None:
        return 0
    facts = CONVERTERS[board.converter.kind]
    frames = samples if facts.simultaneous else samples * len(board.converter.arm_channels)
    return frames * _frame_ns(board.converter)


def _frame_ns(wiring: ConverterWiring | CoprocessorWiring) -> int:
    kind = wiring.kind if isinstance(wiring, ConverterWiring) else wiring.converter
    return CONVERTERS[kind].frame_bits * NS_PER_S // wiring.spi_hz


_RULES: Final[tuple[Callable[[Board], Iterator[Problem]], ...]] = (
    _parts_of_the_mode,
    _trigger_wires,
    _devices,
    _fits_converter,
    _arms,
    _time,
)
