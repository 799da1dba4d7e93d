"""The paper's encoder trained on digits: weights that are no random ones, for ``benchmarks.export``.

Digits are pictures that anyone may use. The encoder learns as in ``benchmarks.latent``: same light, same
losses, masks that are learned with it, two-arm ratios of a simulated detector. Some minutes on one core.

    python -m benchmarks.paper_trained -o trained.npz
    python -m benchmarks.export --trained trained.npz --json
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.latent import DETECTOR, SIZE_PX, digits_generator, digits_lesson
from benchmarks.paper_rig import ENCODER_PREFIX, D
from host.decoder.generator_file import GeneratorFile
from lab.digits import write_digits
from lsi.whole_file import whole_file
from training.course import run_course
from training.data_sets.data import FaceData, open_data
from training.data_sets.whole_picture import pictures_of
from training.latent.latent_exam import answers, macro_auc
from training.latent.latent_losses import LatentLosses
from training.latent.latent_settings import LatentSettings
from training.latent.latent_training import LatentCourse, LatentLesson
from training.paper.paper_student import PaperStudent
from training.paper.paper_weights import STYLES, WIDTH
from training.read_outs.read_out import Dense

EPOCHS: Final = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper_trained", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = write_digits(Path(folder))
        data, val, others = (open_data(files[name]) for name in ("train", "val", "nonfaces"))
        pictures = pictures_of(data, SIZE_PX)
        generator = digits_generator(pictures, data.attributes)
        lesson = digits_lesson(data.faces(data.attribute_names), pictures, generator, others.faces())
        course = _trained(lesson, generator, parsed.epochs)
        _write(parsed.output, course, val.faces(val.attribute_names))
    return 0


def _trained(lesson: LatentLesson, generator: GeneratorFile, epochs: int) -> LatentCourse:
    settings = LatentSettings(d=D, batch=64, negatives=20, mirrored=False)
    layers, width = lesson.offsets.shape[2:]
    torch.manual_seed(0)
    encoder = PaperStudent(D, layers, width, lesson.labels.shape[1] + 1)
    scale = torch.tensor(lesson.offsets[0].astype(np.float32).std(axis=0))
    losses = LatentLosses(settings, torch.tensor(generator.space.mean), scale, None, None)
    course = LatentCourse(lesson, settings, losses, epochs, encoder)
    run_course(course, lambda line: print(line, file=sys.stderr, flush=True), lambda _state: None)
    return course


class _Overheard(nn.Module):
    """An encoder, and the measurements that it was given."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.heard: list[NDArray[np.float32]] = []

    def forward(self, measurements: Tensor) -> tuple[Tensor, Tensor]:
        self.heard.append(measurements.numpy().copy())
        found: tuple[Tensor, Tensor] = self.encoder(measurements)
        return found


@torch.no_grad()
def _write(path: Path, course: LatentCourse, exam: FaceData) -> None:
    student = course.encoder.eval()
    if not isinstance(student, PaperStudent):
        message = f"trained was {type(student).__name__}"
        raise TypeError(message)
    overheard = _Overheard(student)
    _, logits = answers(overheard, course.mask_layer().numpy() > 0, exam.luminance, DETECTOR)
    head = _head_of_whole_offset(student)
    named = {ENCODER_PREFIX + name: each.numpy() for name, each in student.encoder.state_dict().items()}
    with whole_file(path) as file:
        np.savez(
            file,
            measurements=np.concatenate(overheard.heard),
            head_weight=head.weights,
            head_bias=head.bias,
            chosen=np.array(student.chosen),
            auc=np.array(macro_auc(logits, exam.attributes)),
            **named,
        )


def _head_of_whole_offset(student: PaperStudent) -> Dense:
    """The head behind the narrowing map as one head on all 18 x 512 numbers."""
    narrow, outputs = student.narrow, student.head.out_features
    blocks = student.head.weight.double().reshape(outputs, -1, narrow.out_features)
    weights = torch.zeros(outputs, STYLES, WIDTH, dtype=torch.float64)
    for index, token in enumerate(student.chosen):
        weights[:, token] += blocks[:, index] @ narrow.weight.double()
    bias = student.head.bias.double() + blocks.sum(dim=1) @ narrow.bias.double()
    return Dense(weights.reshape(outputs, -1).float().numpy(), bias.float().numpy())


if __name__ == "__main__":
    sys.exit(main())
