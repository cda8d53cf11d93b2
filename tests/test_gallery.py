"""The gallery: moving pictures of timelines, each beside lines of its timeline."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from animix.film import open_film
from animix.timeline.reader import load_timeline
from tools import gallery

README = (gallery.ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r'<img src="docs/gallery/(\w+)\.webp".*?```yaml\n(.*?)```', README, re.DOTALL)


def test_the_readme_shows_all_of_the_gallery():
    assert [name for name, _ in SHOWN] == list(gallery.SIZES)
    assert {path.stem for path in gallery.FOLDER.iterdir()} == set(gallery.SIZES)
    assert README.count("```yaml\n") == len(SHOWN)


@pytest.mark.parametrize(("name", "lines"), SHOWN)
def test_the_lines_in_the_readme_stand_in_the_timeline(name, lines):
    assert lines in (gallery.ROOT / "timelines" / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", gallery.SIZES)
def test_pictures_show_whole_timelines_and_play_for_ever(name):
    timeline = load_timeline(gallery.ROOT / "timelines" / f"{name}.yaml")
    with Image.open(gallery.FOLDER / f"{name}.webp") as picture:
        assert picture.size == gallery.SIZES[name]
        seconds = picture.n_frames / gallery.FPS
        assert seconds == timeline.duration_seconds, "run python -m tools.gallery"
        assert picture.info["loop"] == 0


@pytest.mark.parametrize("name", gallery.SIZES)
def test_timelines_of_the_gallery_loop_without_a_note(name):
    film = open_film(load_timeline(gallery.ROOT / "timelines" / f"{name}.yaml"), device="cpu")
    assert film.schedule.clip.loop
    assert film.notes == ()


def test_the_gallery_keeps_to_its_budget():
    sizes = [path.stat().st_size for path in gallery.FOLDER.iterdir()]
    assert sum(sizes) <= gallery.BUDGET


@pytest.fixture
def noise(monkeypatch):
    """Timelines of ten small frames of noise instead of those of the gallery."""
    pixels = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
    monkeypatch.setattr(gallery, "frames_of", lambda name: [*map(Image.fromarray, pixels)])


def test_the_best_quality_that_fits_is_taken(noise, monkeypatch):
    def taken():
        return {name: len(data) for name, data in gallery.gallery().items()}

    best = taken()
    monkeypatch.setattr(gallery, "BUDGET", sum(best.values()) - 1)
    assert sum(taken().values()) < sum(best.values())


def test_a_gallery_that_is_too_large_is_refused(noise, monkeypatch):
    monkeypatch.setattr(gallery, "BUDGET", 100)
    with pytest.raises(SystemExit, match=r"bytes even at quality \d+, but may take 100 \(grid "):
        gallery.gallery()


def test_frames_of_a_picture_take_as_long_as_the_clip():
    frames = [Image.new("RGB", (16, 16), (20 * number, 0, 0)) for number in range(10)]
    with Image.open(io.BytesIO(gallery.webp(frames, 75))) as picture:
        durations = []
        for number in range(picture.n_frames):
            picture.seek(number)
            picture.load()
            durations.append(picture.info["duration"])
    assert len(durations) == 10
    assert sum(durations) == round(1000 * 10 / gallery.FPS)
