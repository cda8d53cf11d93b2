"""Plots are whole files, the same every time, and say when they can't be drawn."""

import html
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animix.comparison import Compared, Comparison
from animix.drift import BandDrift, Drift, LayerDrift, Measuring
from animix.errors import OptionError
from animix.networks.recognize import network_of
from animix.plots import MOST_NAMED, check_plot, write_plot
from tests.tiny import relative_of, tiny_tensors


def drifted(amount):
    layers = [
        LayerDrift(name, resolution, amount, 1 - amount, 3 * amount)
        for name, resolution in (("b4.const", 4), ("b4.conv1", 4), ("b8.conv0", 8))
    ]
    bands = [BandDrift(4, amount, 2 * amount), BandDrift(8, amount / 2, amount)]
    return Drift(tuple(layers), tuple(bands), BandDrift(8, amount, amount), None)


WRITE = """
import sys
from pathlib import Path
from animix.plots import check_plot, write_plot
from tests.test_plots import comparison_of
check_plot(Path(sys.argv[1]))
write_plot(comparison_of(1), Path(sys.argv[1]))
"""


def words_of(path):
    """What an SVG says: words are drawn as shapes, but stand beside them as comments."""
    return [html.unescape(word) for word in re.findall("<!-- (.*?) -->", path.read_text())]


def comparison_of(count, kimg=True, name="run"):
    others = [
        Compared(
            name=f"{name}-{number}",
            file=f"{name}-{number}.pkl",
            kimg=4.0**number if kimg else None,
            refusal="",
            warnings=(),
            drift=drifted(0.1 * (number + 1)),
        )
        for number in range(count)
    ]
    return Comparison("base", "base.pkl", "StyleGAN2 skip", 8, (1, 2), tuple(others))


@pytest.mark.parametrize(
    ("suffix", "count", "kimg"), [(".png", 1, True), (".svg", 2, False), (".svg", 4, True)]
)
def test_a_comparison_is_drawn_the_same_every_time(tmp_path, suffix, count, kimg):
    comparison = comparison_of(count, kimg)
    for name in ("a", "b"):
        write_plot(comparison, tmp_path / f"{name}{suffix}")
    first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
    assert first == second
    if suffix == ".png":
        with Image.open(tmp_path / "a.png") as drawn:
            image = np.asarray(drawn.convert("RGB"))
        assert image.shape[0] > 800
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20
    else:
        assert first.startswith(b"<?xml")


@pytest.mark.parametrize("name", ["_hidden $x_{ 漢字", "a" * 300])
def test_any_name_can_be_drawn(tmp_path, name, recwarn):
    write_plot(comparison_of(3, kimg=False, name=name), tmp_path / "a.svg")
    assert not list(recwarn)


def test_only_snapshots_of_one_run_are_drawn_against_their_training(tmp_path):
    run = comparison_of(3)
    other = replace(run.others[2], name="other-2")
    for name, others in (("run", run.others), ("mixed", (*run.others[:2], other))):
        write_plot(replace(run, others=others), tmp_path / f"{name}.svg")
    assert "against the training" in (tmp_path / "run.svg").read_text()
    assert "against the training" not in (tmp_path / "mixed.svg").read_text()


def test_many_snapshots_are_drawn_but_not_all_named(tmp_path):
    write_plot(comparison_of(30), tmp_path / "a.svg")
    named = [word for word in words_of(tmp_path / "a.svg") if word.startswith("run-")]
    assert len(named) == MOST_NAMED
    assert {"run-0", "run-29"} <= set(named)
    write_plot(comparison_of(MOST_NAMED), tmp_path / "b.svg")
    assert {f"run-{number}" for number in range(MOST_NAMED)} <= set(words_of(tmp_path / "b.svg"))


def test_real_measures_can_be_drawn(tmp_path):
    tensors, metadata = tiny_tensors()
    base, other = network_of(tensors, metadata), network_of(relative_of(tensors), metadata)
    measuring = Measuring(base, other)
    measuring.add_seed(1)
    compared = replace(comparison_of(1).others[0], drift=measuring.drift())
    write_plot(replace(comparison_of(1), others=(compared,)), tmp_path / "a.svg")
    words = words_of(tmp_path / "a.svg")
    for layer in base.layers:
        # Under weights, activations and correlation.
        assert words.count(layer.name) == 3
    assert {"4", "8", "16"} <= set(words)
    assert "How far run-0 moved from base  (2 seeds, the base's mapping and noise)" in words


def test_the_settings_of_other_plots_are_left_alone(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    write_plot(comparison_of(2), tmp_path / "a.svg")
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_the_way_to_get_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(OptionError, match=r"pip install 'animix\[plot\]'"):
        check_plot(Path("a.svg"))


def test_what_can_not_be_drawn_is_told(tmp_path):
    with pytest.raises(OptionError, match=r"ends in \.svg or \.png"):
        check_plot(tmp_path / "a.pdf")
    with pytest.raises(OptionError, match="none of the networks"):
        write_plot(replace(comparison_of(0), others=()), tmp_path / "a.svg")
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="can't be written"):
        write_plot(comparison_of(1), tmp_path / "file" / "a.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_matplotlib_does_not_tell_of_a_home_that_it_can_not_write(tmp_path):
    (tmp_path / "file").write_text("")
    ended = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path / "a.svg")],
        # A folder in a file can't be made, not even by root.
        env={**os.environ, "MPLCONFIGDIR": str(tmp_path / "file" / "folder")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "a.svg").exists()
