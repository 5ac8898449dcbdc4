"""The wheel carries the console built, so that nobody needs Node who installs it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEB = Path(__file__).resolve().parent


class ConsoleHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """A wheel without a console is none: a failed build fails."""
        if version == "editable":
            return
        subprocess.run([sys.executable, WEB / "build.py"], check=True)
        build_data["force_include"][str(WEB / "dist")] = "asissto/platform/console"
