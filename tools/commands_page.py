"""Writes docs/commands.md from the commands' own help; a test says when it is out of date."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner

from animix.cli.commands import app

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"

START = """# Commands

Written by `tools/commands_page.py` from what each command says with `--help`.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 a render failed, 2 bad
input, 130 interrupted. A batch ends with the highest of its items' codes; warnings are 0.
"""


def commands_page() -> str:
    """The text of the page."""
    parts = [START]
    for name in typer.main.get_command(app).commands:
        told = CliRunner().invoke(
            app, [name, "--help"], prog_name="animix", env={"COLUMNS": "90", "NO_COLOR": "1"}
        )
        lines = "\n".join(line.rstrip() for line in told.stdout.strip().splitlines())
        parts.append(f"## {name}\n\n```\n{lines}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(commands_page(), encoding="utf-8")
    print(PAGE)
