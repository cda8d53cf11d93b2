"""The notebook runs from its first cell to its last, with the networks that come with animix."""

import ast
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parent.parent / "docs" / "blend-a-photo.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
SHORT = {
    "STEPS = 60": "STEPS = 2",
    "fps: 12": "fps: 2",
    "size: 256x256": "size: 128x128",
    "../timelines": str(NOTEBOOK.parent.parent / "timelines"),
}
"""As much of it as a test has time for."""


def test_it_is_a_notebook_without_anything_of_the_machine_that_ran_it():
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in CELLS}) == len(CELLS)
    for cell in CELLS:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def run_cell(text, space):
    """Run a cell as a notebook does, and return what it shows."""
    tree = ast.parse(text)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), space)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), space) if last else None


def test_it_runs_and_shows_pictures_and_a_clip(tmp_path, monkeypatch, capsys):
    shown = []
    display = types.ModuleType("IPython.display")
    display.Video = lambda path, **_: Path(path)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.chdir(tmp_path)
    source = "\0".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code")
    for long, short in SHORT.items():
        assert long in source
        source = source.replace(long, short)
    space = {}
    for text in source.split("\0"):
        shown.append(run_cell(text, space))
    pictures = [np.asarray(one) for one in shown if isinstance(one, Image.Image)]
    assert [picture.shape[0] for picture in pictures] == [128] * 4
    assert all(picture.std() > 20 for picture in pictures)
    clip = next(one for one in shown if isinstance(one, Path))
    assert clip.stat().st_size > 1000
    assert "StyleGAN2 skip, 128 px" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["pairs.md", "timeline.md"])
def test_its_links_lead_somewhere(name):
    assert any(f"]({name})" in "".join(cell["source"]) for cell in CELLS)
    assert (NOTEBOOK.parent / name).exists()
