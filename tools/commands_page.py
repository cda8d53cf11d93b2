"""Writes docs/commands.md from the commands' own help; a test says when it is out of date."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner

from animix.cli.commands import app

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"

START = """# Commands

Written by `tools/commands_page.py` from what each command says with `--help`.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 a render failed or what
was asked for could not be told, 2 bad input, 130 interrupted, 143 and 129 ended by SIGTERM or
SIGHUP. A batch ends with the highest of its items' codes; warnings are 0. Options and arguments
that a command does not know are told in words, with `--json` as well.

`render` with several timelines, or variants of one, is a batch. Each of its `--json` lines has the
`timeline` that it is about, its variant behind it (`reel.yaml seed=7`), and the last one, `batch`,
lists all `films`: `result` is `rendered`, `up to date`, `failed`, `interrupted` or `not begun`.
After Ctrl-C the table is told all the same, and the same command goes on.
"""

END = """## What compare measures

A is the base, B another network; both paint the same w, with A's mapping and noise images. Sums
run over all seeds.

- **weights moved**: ‖θ_B − θ_A‖ / ‖θ_A‖, with all tensors of a layer as one vector θ.
- **correlation**: Pearson's, of the layer's kernels; networks from different starts have about 0,
  fine-tunes and their parent over 0.9.
- **activations moved**: √(Σ‖x_B − x_A‖² / Σ‖x_A‖²), with x what the layer puts out. It holds what
  the layers below have changed as well.
- **pictures differ by**: the root mean square of B's picture minus A's, with black at −1 and white
  at 1, in each band of a pyramid: what a picture of 4×4 blocks shows, what one of 8×8 adds to it,
  and so on. The squares of all bands sum to the square of the whole.
- **w moved**: √(Σ‖w_B − w_A‖² / Σ‖w_A − w_avg‖²) of the two mappings, without truncation: 100% is
  as far as the base's own w lie from their average. The average's move, ‖w_avg_B − w_avg_A‖, is
  told by the same measure. A blend uses one of the mappings, so it does not see this; `–` stands
  where the two take other inputs.

Of several networks there is one row each: **correlation** and **weights** are the layers' medians,
**picture** is the difference of whole pictures by the size of the base's, √(Σ‖p_B − p_A‖² /
Σ‖p_A‖²), where unrelated pictures have about 140%, and **w** is w moved.

A network that can't be blended with the base, or is no relative of it, is an answer: exit code 0,
and `"blendable"` and `"related"` in `--json`. One that can't be read or makes no picture is told as
an error, the others are measured, and the exit code is 2.

## Pinkney's rule

`blend --rule pinkney` computes what `blend_models.py` does. Without `--blend-width`, or with 0, its
edge is hard, as there; a width above 0 is the scale of the logistic curve, in half blocks.
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
    return "\n".join([*parts, END])


if __name__ == "__main__":
    PAGE.write_text(commands_page(), encoding="utf-8")
    print(PAGE)
