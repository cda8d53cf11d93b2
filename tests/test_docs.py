"""Documents say what the program does: commands, examples, public names."""

import re
from pathlib import Path

import pytest
import typer

import animix
from animix import demo
from animix.cli.commands import app
from animix.film import open_film
from animix.timeline.reader import load_timeline, read_timeline
from tools.commands_page import PAGE, commands_page

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TIMELINES = [demo.TIMELINE, *sorted((ROOT / "timelines").glob("*.yaml"))]
COMMANDS = list(typer.main.get_command(app).commands)


def test_the_page_of_commands_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == commands_page()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command):
    assert f"animix {command}" in README


@pytest.mark.parametrize("path", TIMELINES, ids=lambda path: path.name)
def test_every_example_is_in_the_readme_and_renders(path):
    assert str(path.relative_to(ROOT)) in README
    film = open_film(load_timeline(path), device="cpu")
    frames = film.schedule.num_frames
    pictures = [film.rgb8(index) for index in (0, frames // 2, frames - 1)]
    assert len({picture.tobytes() for picture in pictures}) == 3


@pytest.mark.parametrize("page", ["README.md", "docs/timeline.md"])
def test_every_whole_timeline_in_the_documents_is_one(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "duration:" in b]
    for block in blocks:
        read_timeline(block, "document.yaml")
    assert blocks or page != "README.md"


def test_every_link_in_the_documents_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_public_names_are_those_that_are_promised():
    assert animix.__all__ == sorted(animix.__all__)
    for name in animix.__all__:
        assert getattr(animix, name) is not None
    with pytest.raises(AttributeError, match="no attribute"):
        _ = animix.no_such_name
