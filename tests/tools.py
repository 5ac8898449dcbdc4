"""Marks for tests that need a program of the system; with REQUIRE_TOOLS=1 they fail instead of being skipped."""

import os
import shutil

import pytest


def _needs(program: str) -> pytest.MarkDecorator:
    missing = shutil.which(program) is None and os.environ.get("REQUIRE_TOOLS") != "1"
    return pytest.mark.skipif(missing, reason=f"{program} is not installed")


needs_tesseract = _needs("tesseract")
needs_soffice = _needs("soffice")
