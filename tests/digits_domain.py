"""The digits, and a generator of 8 x 8 pictures that was trained on some of them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lab.digits import write_digits

if TYPE_CHECKING:
    from training.generator import GeneratorLesson

TRAIN_ROWS = 320
VAL_ROWS = 160


@dataclass(frozen=True)
class DigitsDomain:
    """Data files by part: train, val, nonfaces, nonfaces-val."""

    files: dict[str, Path]

    @cached_property
    def lesson(self) -> "GeneratorLesson":
        from training.data import open_data  # noqa: PLC0415 - some runs have no PyTorch
        from training.generator import GeneratorLesson  # noqa: PLC0415 - same
        from training.whole_picture import pictures_of  # noqa: PLC0415 - same

        data = open_data(self.files["train"])
        return GeneratorLesson(pictures_of(data, 8), data.attributes)

    @cached_property
    def generator(self) -> Path:
        """The file of a generator: 4 layers of 16."""
        from host.decoder.generator_file import save_generator  # noqa: PLC0415 - some runs have no PyTorch
        from host.decoder.synthesis import SynthesisShape  # noqa: PLC0415 - same
        from training.course import run_course  # noqa: PLC0415 - same
        from training.generator import GeneratorCourse  # noqa: PLC0415 - same
        from training.generator_settings import GeneratorSettings  # noqa: PLC0415 - same

        shape = SynthesisShape(8, 16, (16, 16))
        settings = GeneratorSettings("digits", shape, batch=32, mirrored=False)
        course = GeneratorCourse(self.lesson, settings, epochs=20)
        run_course(course, lambda _line: None, lambda _state: None)
        path = self.files["train"].with_name("generator.npz")
        save_generator(course.result({}), path)
        return path


def digits_domain(folder: Path) -> DigitsDomain:
    return DigitsDomain(write_digits(folder, TRAIN_ROWS, VAL_ROWS))
