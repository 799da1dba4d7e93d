"""The digits, and a generator of 8 x 8 pictures that was trained on some of them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lab.digits import write_digits

if TYPE_CHECKING:
    from training.generator.generator import GeneratorLesson
    from training.latent.latent_settings import LatentSettings
    from training.latent.latent_training import LatentCourse, LatentLesson
    from training.light.forward_model import Detector

TRAIN_ROWS = 320
VAL_ROWS = 160


@dataclass(frozen=True)
class DigitsDomain:
    """Data files by part: train, val, nonfaces, nonfaces-val."""

    files: dict[str, Path]

    @cached_property
    def lesson(self) -> "GeneratorLesson":
        from training.data_sets.data import open_data  # noqa: PLC0415 - some runs have no PyTorch
        from training.data_sets.whole_picture import pictures_of  # noqa: PLC0415 - same
        from training.generator.generator import GeneratorLesson  # noqa: PLC0415 - same

        data = open_data(self.files["train"])
        return GeneratorLesson(pictures_of(data, 8), data.attributes)

    @cached_property
    def generator(self) -> Path:
        """The file of a generator: 4 layers of 16."""
        from host.decoder.generator_file import save_generator  # noqa: PLC0415 - some runs have no PyTorch
        from host.decoder.synthesis import SynthesisShape  # noqa: PLC0415 - same
        from training.course import run_course  # noqa: PLC0415 - same
        from training.generator.generator import GeneratorCourse  # noqa: PLC0415 - same
        from training.generator.generator_settings import GeneratorSettings  # noqa: PLC0415 - same

        shape = SynthesisShape(8, 16, (16, 16))
        settings = GeneratorSettings("digits", shape, batch=32, mirrored=False)
        course = GeneratorCourse(self.lesson, settings, epochs=20)
        run_course(course, lambda _line: None, lambda _state: None)
        path = self.files["train"].with_name("generator.npz")
        save_generator(course.result({}), path)
        return path

    @cached_property
    def latent_lesson(self) -> "LatentLesson":
        import numpy as np  # noqa: PLC0415 - beside the others

        from host.decoder.generator_file import load_generator  # noqa: PLC0415 - some runs have no PyTorch
        from training.data_sets.data import open_data  # noqa: PLC0415 - same
        from training.generator.generator import encoder_of, latents_of  # noqa: PLC0415 - same
        from training.latent.latent_training import LatentLesson  # noqa: PLC0415 - same

        data, generator = open_data(self.files["train"]), load_generator(self.generator)
        faces, pictures = data.faces(data.attribute_names), self.lesson.pictures
        teacher, mean = encoder_of(generator, "test"), generator.space.mean
        sides = [latents_of(teacher, pictures, is_mirrored=side) - mean for side in (False, True)]
        others = open_data(self.files["nonfaces"]).faces().luminance
        offsets = np.stack(sides).astype(np.float16)
        return LatentLesson(faces.luminance, offsets, faces.attributes, pictures, others, self.detector)

    @cached_property
    def detector(self) -> "Detector":
        from training.light.detectors import AD7383_4  # noqa: PLC0415 - some runs have no PyTorch
        from training.light.forward_model import Detector  # noqa: PLC0415 - same

        return Detector(AD7383_4.sensor, AD7383_4.samples, averaged=True)

    def latent_course(self, settings: "LatentSettings", epochs: int) -> "LatentCourse":
        """A course that has not begun."""
        import numpy as np  # noqa: PLC0415 - beside the others
        import torch  # noqa: PLC0415 - some runs have no PyTorch

        from host.decoder.decoder import OwnDecoder  # noqa: PLC0415 - same
        from host.decoder.generator_file import load_generator  # noqa: PLC0415 - same
        from training.latent.latent_losses import LatentLosses  # noqa: PLC0415 - same
        from training.latent.latent_training import LatentCourse  # noqa: PLC0415 - same

        generator, lesson = load_generator(self.generator), self.latent_lesson
        scale = torch.tensor(lesson.offsets[0].astype(np.float32).std(axis=0))
        synthesis = OwnDecoder(generator).network if settings.needs_pictures else None
        losses = LatentLosses(settings, torch.tensor(generator.space.mean), scale, synthesis, None)
        return LatentCourse(lesson, settings, losses, epochs)

    @cached_property
    def trained(self) -> "LatentCourse":
        """A nested bank of 8 masks that serves 4 too, trained to its end."""
        course = self.latent_course(latent_settings(), 16)
        course.run_leg(course.steps)
        return course

    @cached_property
    def banks(self) -> list[Path]:
        """The checkpoints of :attr:`trained`, d = 4 and d = 8."""
        from host.decoder.generator_file import load_generator  # noqa: PLC0415 - some runs have no PyTorch
        from training.data_sets.data import open_data  # noqa: PLC0415 - same
        from training.latent.latent_checkpoint import save_latent_checkpoint  # noqa: PLC0415 - same
        from training.latent.latent_exam import LatentExam  # noqa: PLC0415 - same

        val, others = open_data(self.files["val"]), open_data(self.files["nonfaces-val"])
        exam = LatentExam(val.faces(val.attribute_names), others.faces(), self.detector)
        form = load_generator(self.generator).space.form
        paths = []
        for each in self.trained.results():
            paths.append(self.files["train"].with_name(f"latent-d{len(each.masks)}.npz"))
            save_latent_checkpoint(exam.checkpoint(each, form, {"steps": 1, "of_steps": 1}), paths[-1])
        return paths


def latent_settings() -> "LatentSettings":
    from training.latent.latent_settings import LatentSettings  # noqa: PLC0415 - some runs have no PyTorch

    losses = (("latent", 1.0), ("attributes", 0.5), ("presence", 0.3), ("pixel", 0.3))
    return LatentSettings(
        d=8, batch=40, negatives=10, decoded=8, trunk=64, token=16, nested=True, mirrored=False,
        rate=4e-3, disturbance=None, losses=losses,
    )  # fmt: skip


def digits_domain(folder: Path) -> DigitsDomain:
    return DigitsDomain(write_digits(folder, TRAIN_ROWS, VAL_ROWS))
