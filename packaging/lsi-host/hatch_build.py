"""Packs the host's rooms from the top of the tree; an editable install only points there."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOMS = ("training", "export", "host", "lab")


class HostRooms(BuildHookInterface):
    """Adds the rooms to a standard wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs."""
        if version == "standard":
            top = Path(self.root).parents[1]
            build_data["force_include"] = {str(top / room): room for room in ROOMS}
