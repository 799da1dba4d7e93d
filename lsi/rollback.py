"""Why a device went back to the bundle that ran before: codes, and a sentence for people about each."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class RollbackReason(StrEnum):
    """One code per thing a person would do something different about."""

    REFUSED = "refused"
    SELF_TEST = "self_test"
    FEW_INFERENCES = "few_inferences"
    NO_ACKNOWLEDGEMENT = "no_acknowledgement"
    KILLED = "killed"
    DAMAGED = "damaged"
    BY_HAND = "by_hand"


ROLLBACK_TEXT: Final = MappingProxyType(
    {
        RollbackReason.REFUSED: "The bundle did not pass the checks of this device.",
        RollbackReason.SELF_TEST: "The rig did not pass its self-test.",
        RollbackReason.FEW_INFERENCES: "Too few scans could be used.",
        RollbackReason.NO_ACKNOWLEDGEMENT: "The broker acknowledged nothing.",
        RollbackReason.KILLED: "The service was ended before the trial was over.",
        RollbackReason.DAMAGED: "The file of the bundle was damaged on this device.",
        RollbackReason.BY_HAND: "Somebody asked for it on the device.",
    }
)
"""What ``info`` says; fixed sentences, so that nothing else can be said there."""
