"""Reads the lists of words and patterns that lie beside the code."""

from pathlib import Path


def read_lists(name: str) -> dict[str, list[str]]:
    """The `[sections]` of a file of this folder, each with its lines; `#` begins a remark."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            lines = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            lines.append(line)
    return sections
