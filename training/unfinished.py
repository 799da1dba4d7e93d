"""The state of a run that was interrupted: one file beside the checkpoint-to-be, gone when it is done."""

import hashlib
import json
import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lsi.errors import DataError
from lsi.whole_file import whole_file


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Where a run keeps its state, and a digest of everything that the run depends on."""

    path: Path
    digest: str

    def save(self, state: dict[str, Any]) -> None:
        """Write the state in one step; the file of the epoch before stays whole until then.

        Raises:
            DataError: The disk is full or the folder cannot be written.
        """
        try:
            with whole_file(self.path) as file:
                torch.save({"digest": self.digest, "state": state}, file)
        except (OSError, RuntimeError) as cause:  # torch wraps a full disk in RuntimeError
            found = f"The state of the run cannot be written to {self.path} ({cause})."
            hint = "free some space; the run goes on from its last whole epoch."
            raise DataError(found, hint=hint) from cause

    def load(self) -> dict[str, Any] | None:
        """The kept state; ``None`` where there is none. Nothing in the file is executed.

        Raises:
            DataError: The file is damaged, or belongs to a run with other data or settings.
        """
        if not self.path.exists():
            return None
        hint = f"remove {self.path} to start anew."
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a strange pickle is refused below, not talked about
                kept = torch.load(self.path, weights_only=True)
            digest, state = kept["digest"], kept["state"]
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError) as cause:
            raise DataError(f"{self.path} is damaged ({type(cause).__name__}).", hint=hint) from cause
        except (pickle.UnpicklingError, zipfile.BadZipFile) as cause:
            raise DataError(f"{self.path} is not the state of a run.", hint=hint) from cause
        if digest != self.digest:
            raise DataError(f"{self.path} belongs to a run with other data or settings.", hint=hint)
        result: dict[str, Any] = state
        return result

    def remove(self) -> None:
        """The run is done."""
        self.path.unlink(missing_ok=True)


def digest_of(record: dict[str, Any]) -> str:
    """A digest of everything a run depends on, as JSON."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
