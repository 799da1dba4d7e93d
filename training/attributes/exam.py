"""The exam of a trained bank: thresholds and figures on val, and the checkpoint that carries them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsi.patterns import PatternSet
from training.attributes.assess import Assessment, assess, check_halves
from training.attributes.checkpoint import Checkpoint
from training.attributes.train import Trained
from training.data_sets.data import FaceData, open_data
from training.light.forward_model import TwoArms
from training.read_outs.calibration import folded_range
from training.scores.groups import Grouping, grouping_of


@dataclass(frozen=True, slots=True, repr=False)
class Exam:
    """Val, and how thresholds are chosen on it: rule and coverage as in ``assess``."""

    faces: FaceData
    others: FaceData
    grouping: Grouping | None
    rule: str
    coverage: float

    def assess(self, trained: Trained, detector: TwoArms) -> Assessment:
        """Thresholds on *tune*, figures on *report*, through ``detector`` at its own light."""
        return assess(
            trained,
            self.faces,
            self.others,
            detector,
            rule=self.rule,
            coverage=self.coverage,
            grouping=self.grouping,
        )


def read_exam(val: Path, nonfaces_val: Path, names: tuple[str, ...], rule: str, coverage: float) -> Exam:
    """Read val before the training: what cannot be assessed is said at once.

    Raises:
        ConfigError: Val lacks one of the attributes ``names``.
        DataError: A file cannot be used, or a half of val lacks one of the answers.
    """
    data, others = open_data(val, "val"), open_data(nonfaces_val, "val").faces()
    faces = data.faces(names)
    check_halves(faces, others)
    return Exam(faces, others, grouping_of(data.attribute_names, data.attributes), rule, coverage)


def checkpoint_of(trained: Trained, found: Assessment, record: Mapping[str, Any]) -> Checkpoint:
    """What was trained, with the calibration folded in."""
    activation_low, activation_high = trained.activation_range.copy()
    lowest, highest = trained.logit_range
    activation_low[-1], activation_high[-1] = folded_range(lowest, highest, found.calibration)
    return Checkpoint(
        patterns=PatternSet(trained.masks),
        read_out=found.read_out,
        attributes=found.schema,
        measurement_low=trained.measurement_range[0],
        measurement_high=trained.measurement_range[1],
        activation_low=activation_low,
        activation_high=activation_high,
        record=record,
    )


def figure_lines(found: Assessment) -> list[str]:
    """The figures on *report* as a table for people."""
    lines = [f"{'val report':42} {'AUC':>6} {'bal. acc.':>9} {'accuracy':>8} {'majority':>8}"]
    lines += [
        f"{each.name:42} {each.auc:6.4f} {each.balanced_accuracy:9.3f} "
        f"{each.accuracy:8.3f} {each.majority:8.3f}"
        for each in found.attributes
    ]
    lines.append(
        f"{'macro':42} {found.macro_auc:6.4f} (without noise {found.macro_auc_noise_free:.4f}, chance 0.5)"
    )
    lines += [
        f"{each.against:42} {each.auc:6.4f} {each.false_accepts:9.3f} taken for a face"
        for each in found.presence
    ]
    lines.append(f"{'faces turned away':42} {found.false_rejects:16.3f}")
    return lines
