"""Documents say what the program does: commands, examples, public names."""

import json
import re
from pathlib import Path

import pytest
import typer

import animix
from animix import demo
from animix.cli.commands import app
from animix.film import open_film
from animix.timeline.eases import EASES
from benchmarks import beats
from benchmarks.grooves import RATE, Groove, render
from tests.sounds import write_wav
from tools import eases_page
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
    film = open_film(animix.variants(path)[0], device="cpu")
    frames = film.schedule.num_frames
    pictures = [film.rgb8(index) for index in (0, frames // 2, frames - 1)]
    assert len({picture.tobytes() for picture in pictures}) == 3


START = "networks: {faces: a.pkl, anime: a.pkl, marble: a.pkl}\nduration: 8s\n"


def examples_of_the_language():
    """Every YAML example of the page, each of its alternatives as a timeline of its own."""
    page = (ROOT / "docs" / "timeline.md").read_text(encoding="utf-8")
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        if block.startswith(("swap:", "alpha:")):
            layer = r"blend: [faces, anime: {\1: \2}]"
            block = re.sub("^(swap|alpha): (.*)$", layer, block, flags=re.M)
        lines = block.splitlines(keepends=True)
        first = lines[0].split(":")[0]
        alternatives = [line for line in lines if line.startswith(f"{first}:")]
        rest = "" if len(alternatives) > 1 else "".join(lines[1:])
        yield from (START + line + rest for line in alternatives)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """The place of a timeline, with a song beside it."""
    folder = tmp_path_factory.mktemp("document")
    groove = Groove("rock", 110, seed=3, seconds=8)
    write_wav(folder / "song.wav", render(groove), RATE)
    return folder / "document.yaml"


@pytest.mark.parametrize("text", list(examples_of_the_language()))
def test_every_example_of_the_language_is_read(text, document):
    base = f"{START}audio: song.wav\nframe: {{zoom: 2}}\n"
    (document.parent / "porcelain.yaml").write_text(base)
    text = text if "blend:" in text else text + "blend: [faces]\n"
    document.write_text(text)
    timelines = animix.variants(document)
    assert (len(timelines) > 1) == ("variants:" in text)


def test_all_eases_are_drawn():
    drawing = eases_page.eases_page()
    assert eases_page.PAGE.read_text(encoding="utf-8") == drawing, "run tools/eases_page.py"
    for ease in EASES:
        assert f">{ease}" in drawing


def test_every_link_in_the_documents_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r'(?:\]\(|src=")(?!http|#)([^)#"]+)', text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_figures_in_the_readme_are_those_of_the_benchmark():
    report = json.loads((ROOT / "benchmarks/results/render-cpu.json").read_text())
    for case, result in report["results"].items():
        figures = f"{result['frames']} frames"
        (row,) = (row for row in README.splitlines() if row.startswith(f"| {case},"))
        assert figures in row
        assert f"| {result['fastest_seconds']} to {result['slowest_seconds']} |" in row
        assert row.endswith(f"| {result['command_seconds']} | {result['fps']} |")


def test_the_figures_of_the_engine_are_those_of_its_benchmark():
    report = json.loads((ROOT / "benchmarks/results/engine-cuda.json").read_text())
    assert "H100" in report["device"]
    cases = {case.split(" px, ")[1] for case in report["results"]}
    for case in cases:
        figures = [report["results"][f"{size} px, {case}"]["fps"] for size in (256, 512, 1024)]
        assert f"| {case} | {' | '.join(f'{fps:,}' for fps in figures)} |" in README


def test_the_figures_of_others_are_those_of_the_same_benchmark():
    report = json.loads((ROOT / "benchmarks/results/engine-cuda.json").read_text())
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    for case in report["peers"]["256 px"]:
        figures = [report["peers"][f"{size} px"][case] for size in (256, 512, 1024)]
        assert f"| {case} | {' | '.join(f'{fps:g}' for fps in figures)} |" in page


def test_the_figures_of_errors_memory_films_and_starts_are_those_of_their_benchmarks():
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")

    def results(name):
        report = json.loads((ROOT / f"benchmarks/results/{name}-cuda.json").read_text())
        return report["results"]

    for size, found in results("error").items():
        figures = f"{found['animix']:.2e} | {found['nvlabs']:.2e} | {found['ratio']} times"
        assert f"| {size} | {figures} |" in page
    for case, found in results("memory").items():
        columns = ("allowed_gb", "frames_of_a_cell", "planned_gb", "device_gb")
        figures = " | ".join(str(found[column]) for column in columns)
        name = case.removeprefix("1024 px, ").split(", 960 frames")[0]
        assert f"| {name} | {figures} | {found['frames_per_second']:,} |" in page
        assert found["device_gb"] <= found["allowed_gb"]
    for case, found in results("pipeline").items():
        if case.endswith("gen_video.py"):
            assert f"| {case} | – | – | {found['both_fps']:,} | – |" in page
        else:
            columns = ("painting_fps", "encoding_fps", "both_fps")
            figures = " | ".join(f"{found[column]:,}" for column in columns)
            assert f"| {case} | {figures} | {found['share']} |" in page
    starts = results("start")
    for case, words in (("cold", "with an empty"), ("warm", "with a full one")):
        assert f"{starts[f'1024 px, {case}']['first_frame_seconds']} s {words}" in page


def test_the_figures_of_the_writer_are_those_of_its_benchmark():
    results = json.loads((ROOT / "benchmarks/results/writer.json").read_text())["results"]
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert f"takes {results['joining and sound']['seconds']} s." in page
    for preset in ("medium", "ultrafast"):
        found = results[preset]
        figures = f"{found['frames']} | {found['file_seconds']} | {found['writer_seconds']}"
        assert f"| {preset} | {figures} |" in page


def test_the_figures_of_several_gpus_are_those_of_their_benchmark():
    report = json.loads((ROOT / "benchmarks/results/gpus-cuda.json").read_text())
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    for size, found in report["results"].items():
        figures = f"{found['one_fps']:,} | {found['all_fps']:,} | {found['times']} times"
        assert f"| {size} | {figures} |" in page
        assert found["same_frames"]


def test_the_figures_of_stylegan3_are_those_of_its_benchmark():
    report = json.loads((ROOT / "benchmarks/results/stylegan3-cuda.json").read_text())
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert "H100" in report["device"]

    def figures(kind, case, what):
        found = [report["results"][f"{kind}, {size} px, {case}"][what] for size in (256, 512, 1024)]
        return " | ".join(map(str, found))

    for kind in ("T", "R"):
        for case in ("a mix for every frame", "one mix"):
            row = f"| StyleGAN3-{kind}, {case} | {figures(kind, case, 'fps')} |"
            assert row in README and row in page
        plain = figures(kind, "a mix for every frame", "plain_fps")
        assert f"| – the plain path, float32, a mix for every frame | {plain} |" in page
    errors = [result["relative_error"] for result in report["results"].values()]
    assert (min(errors), max(errors)) == (0.00092, 0.004)
    assert "0.9e-3 to 4e-3 off" in page


def test_the_figures_of_processors_are_those_of_their_benchmark():
    report = json.loads((ROOT / "benchmarks/results/cpu.json").read_text())
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    for case, result in report["results"].items():
        columns = ("naive", "plain", "float32", "pictures", "times_naive")
        figures = " | ".join(str(result[column]) for column in columns)
        assert f"| {case} | {figures} |" in page


def test_the_figures_of_trackers_are_those_of_their_benchmark():
    report = json.loads((ROOT / "benchmarks/results/beats.json").read_text())
    page = (ROOT / "docs/timeline.md").read_text(encoding="utf-8")
    for name, found in report.items():
        counts = beats.totals(found)
        assert beats.row_of(name, found) in page
        assert counts["grooves"] == 144
    assert beats.totals(report["animix"])["right"] >= 0.8 * 144


def test_the_figures_of_even_walks_are_those_of_their_benchmark():
    report = json.loads((ROOT / "benchmarks/results/even.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "timeline.md").read_text(encoding="utf-8")
    found = {(row["path"], row["kind"]): row for row in report["rows"]}
    for path in dict.fromkeys(row["path"] for row in report["rows"]):
        shares = [
            f"{found[path, kind][metric]:.1%}"
            for metric in ("CIEDE2000", "1 − SSIM")
            for kind in ("plain", "even")
        ]
        assert f"| {path} | {' | '.join(shares)} |" in page


def test_no_document_has_a_gap():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]:
        assert not re.findall(r"\b(?:TODO|TBD|XXX|[A-Z]+_LINES?)\b", page.read_text("utf-8"))


def test_the_public_names_are_those_that_are_promised():
    assert animix.__all__ == sorted(animix.__all__)
    for name in animix.__all__:
        assert getattr(animix, name) is not None
    with pytest.raises(AttributeError, match="no attribute"):
        _ = animix.no_such_name
