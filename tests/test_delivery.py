"""Every preset and format is written as its platform or program takes it, or refused before."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections import deque
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from animix import delivery, demo
from animix.delivery import check_outputs, film_path, notes_of, settings_of, size_warning
from animix.engine.pixels import to_bytes
from animix.errors import OptionError, TimelineError
from animix.ffmpeg.program import find_ffmpeg
from animix.film import Film, open_film
from animix.rendering import encode
from animix.timeline.reader import load_timeline
from animix.video.encoder import Encoder
from animix.video.settings import EncoderSettings
from animix.video.trial import check_encoder, reason_in
from benchmarks import banding
from tests import mp4, sounds
from tests.tiny import write_tiny

TIMELINE = "networks: {faces: faces.safetensors}\nlatents: [3, 17]\nduration: 4s\n"
PULSE = Path(__file__).parent.parent / "timelines" / "pulse.wav"
SOCIAL = ("tiktok", "reels", "shorts", "youtube", "x", "x-premium", "square")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_tiny(folder / "faces.safetensors")
    (folder / "reel.yaml").write_text(TIMELINE)
    return folder


def open_reel(folder: Path, output: str, **overrides: str) -> Film:
    timeline = load_timeline(folder / "reel.yaml", {"output": output, **overrides})
    return open_film(timeline, device="cpu")


def render(film: Film, target: Path, num_frames: int) -> Path:
    with contextlib.closing(encode(film, target, frames=range(num_frames))) as steps:
        deque(steps, maxlen=0)
    return target


def ffmpeg(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [find_ffmpeg(), "-hide_banner", *map(str, arguments)], capture_output=True
    )


def told_of(path: Path) -> str:
    """What ffmpeg tells of a file's length and picture."""
    return ffmpeg("-i", path).stderr.decode()


def shown(path: Path) -> list[Fraction]:
    """When each decoded frame is shown, in seconds."""
    report = ffmpeg("-v", "error", "-i", path, "-f", "framecrc", "-").stdout.decode()
    base = re.search(r"#tb 0: (\d+)/(\d+)", report)
    assert base
    ticks = [int(line.split(",")[2]) for line in report.splitlines() if line[0] != "#"]
    return [tick * Fraction(int(base[1]), int(base[2])) for tick in ticks]


def boxes_of(path: Path) -> list[str]:
    return [name for name, _ in mp4.boxes(path.read_bytes())]


# -- Platforms -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOCIAL)
def test_a_platform_gets_what_it_asks_for(folder: Path, tmp_path: Path, name: str):
    film = open_reel(folder, f"{{preset: {name}, size: 64x96}}")
    path = render(film, tmp_path / "reel.mp4", 40)

    assert "h264 (High) (avc1" in told_of(path)
    assert "yuv420p(tv, bt709, progressive), 64x96" in told_of(path)
    assert mp4.colour(path) == ("nclx", 1, 1, 1, False)
    assert boxes_of(path).index("moov") < boxes_of(path).index("mdat")

    # There are B-frames, no edit list, and time begins at 0 all the same.
    track = dict(mp4.boxes(mp4.box(path, "moov trak")))
    assert "edts" not in track
    assert mp4.box(path, "moov trak mdia minf stbl ctts")
    assert shown(path) == [Fraction(n, 30) for n in range(40)]
    assert mp4.length_seconds(mp4.box(path, "moov mvhd")) == Fraction(40, 30)

    # Groups of half a second.
    table = mp4.box(path, "moov trak mdia minf stbl stss")
    keys = [int.from_bytes(table[at : at + 4], "big") for at in range(8, len(table), 4)]
    assert keys == [1, 16, 31]


def test_a_group_of_pictures_is_closed(folder: Path, tmp_path: Path):
    """Cut off at any key frame, what follows decodes to the same frames."""
    film = open_reel(folder, "{preset: reels, size: 64x96}")
    path = render(film, tmp_path / "reel.mp4", 40)
    stream = tmp_path / "all.h264"
    ffmpeg("-v", "error", "-i", path, "-c", "copy", stream)
    # 7 is a sequence's parameters, which come before a key frame; 5 is one, 1 any other.
    units = re.split(rb"\x00?\x00\x00\x01", stream.read_bytes())[1:]
    keys = [n for n, unit in enumerate(units) if unit[0] & 31 == 5]
    head = [unit for unit in units if unit[0] & 31 in (7, 8)]
    cut = tmp_path / "cut.h264"
    cut.write_bytes(b"".join(b"\0\0\0\1" + unit for unit in [*head, *units[keys[1] :]]))

    def frames(source: Path) -> bytes:
        return ffmpeg("-v", "error", "-i", source, "-f", "rawvideo", "-").stdout

    frame_bytes = 64 * 96 * 3 // 2
    assert len(frames(cut)) == 25 * frame_bytes
    assert frames(cut) == frames(path)[15 * frame_bytes :]


def test_presets_have_their_own_size_and_rate(folder: Path):
    film = open_reel(folder, "x", fps="25")
    assert (film.canvas_size, film.schedule.fps) == ((720, 1280), 30)
    assert film.schedule.num_frames == 120
    film = open_reel(folder, "youtube", fps="25")
    assert (film.canvas_size, film.schedule.fps) == ((1920, 1080), 25)


@pytest.mark.parametrize(
    ("output", "duration", "cap"),
    [
        ("tiktok", "15s", 20_000_000),
        ("reels", "15s", 24_000_000),
        # 300 MB in a quarter of an hour of 211 segments, less sound and tables.
        ("reels", "900s", 300_000_000 * 8 * 97 // 100 // (900 + 211) - 128_000),
        ("youtube", "15s", None),
        ("x", "15s", None),
        ("x", "1200s", 8_000_000_000 * 8 * 97 // 100 // (1200 + 282) - 192_000),
        ("{preset: tiktok, bitrate: 30M}", "15s", 30_000_000),
        ("{preset: gif, size: 64x64}", "15s", None),
        ("reel.mp4", "15s", None),
    ],
)
def test_the_bitrate_is_capped_so_that_the_file_is_taken(folder, output, duration, cap):
    film = open_reel(folder, output, duration=duration)
    assert settings_of(film).max_bitrate == cap


def test_a_cap_holds(tmp_path: Path):
    settings = EncoderSettings(64, 96, Fraction(30), crf=4, gop_frames=15, max_bitrate=400_000)
    noise = np.random.default_rng(0)
    for each in (settings, replace(settings, max_bitrate=None)):
        with Encoder(tmp_path / f"{each.max_bitrate}.mp4", each) as film:
            for _ in range(60):
                film.write(noise.integers(0, 256, each.frame_bytes, np.uint8))
    capped, free = (tmp_path / f"{name}.mp4" for name in ("400000", "None"))
    assert capped.stat().st_size * 8 < 400_000 * 3 * 1.1
    assert free.stat().st_size > 2 * capped.stat().st_size


# -- Formats ---------------------------------------------------------------------------------------

FORMATS = {
    "mp4": ("reel.mp4", "h264", "yuv420p(tv, bt709, progressive)"),
    "draft": ("draft", "h264", "yuv420p(tv, bt709, progressive)"),
    "h265": ("{codec: h265}", "hevc (Main) (hvc1", "yuv420p(tv, bt709, progressive)"),
    "h265 10 bit": (
        "{codec: h265, pixel-format: yuv422p10}",
        "hevc (Rext) (hvc1",
        "yuv422p10le(tv, bt709, progressive)",
    ),
    "av1": ("{codec: av1}", "av1", "yuv420p(tv, bt709, progressive)"),
    "webm": ("webm", "vp9", "yuv420p(tv, bt709, progressive)"),
    "prores": ("prores", "prores (HQ) (apch", "yuv422p10le(tv, bt709, progressive)"),
    "bitrate": ("{bitrate: 2M}", "h264", "yuv420p(tv, bt709, progressive)"),
    "a preset in H.265": (
        "{preset: reels, codec: h265, size: 64x96}",
        "hevc (Main) (hvc1",
        "yuv420p(tv, bt709, progressive)",
    ),
}


@pytest.mark.parametrize(("output", "codec", "pixels"), FORMATS.values(), ids=FORMATS)
def test_a_format_has_its_codec_tags_frames_and_length(folder, tmp_path, output, codec, pixels):
    film = open_reel(folder, output, size="64x96")
    path = render(film, tmp_path / film_path(film.timeline).name, 33)
    assert codec in told_of(path)
    assert pixels in told_of(path)
    # Matroska counts in milliseconds.
    inexact = Fraction(1, 2000) if path.suffix == ".webm" else 0
    times = shown(path)
    assert len(times) == 33
    assert all(abs(time - Fraction(n, 30)) <= inexact for n, time in enumerate(times))
    if path.suffix == ".webm":
        assert "Duration: 00:00:01.10" in told_of(path)
    else:
        assert mp4.length_seconds(mp4.box(path, "moov mvhd")) == Fraction(33, 30)
        assert boxes_of(path).index("moov") < boxes_of(path).index("mdat")


COLOURED = {
    "h264": {},
    "h264 without an edit list": {"edit_list": False, "gop_frames": 15},
    "h265": {"codec": "h265"},
    "h265 10 bit": {"codec": "h265", "pixel_format": "yuv422p10"},
    "av1": {"codec": "av1"},
    "vp9": {"codec": "vp9"},
    "prores": {"codec": "prores", "pixel_format": "yuv422p10"},
}


@pytest.mark.parametrize("changes", COLOURED.values(), ids=COLOURED)
def test_colours_come_back(tmp_path: Path, changes):
    corners = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    others = np.random.default_rng(5).integers(0, 256, (8, 3)).tolist()
    colours = np.array(corners + others)
    settings = EncoderSettings(64, 64, Fraction(30), **changes)
    patches = torch.from_numpy(colours).float().div(127.5).sub(1)[:, :, None, None]
    frames = to_bytes(patches.expand(-1, 3, 64, 64), range(len(colours)), settings.pixel_format)
    path = tmp_path / f"film.{settings.container}"
    with Encoder(path, settings) as film:
        film.write(frames.numpy())
    flags = "scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int"
    told = ffmpeg(
        *("-v", "error", "-i", path, "-vf", flags, "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    )
    found = np.frombuffer(told.stdout, np.uint8).reshape(len(colours), 64 * 64, 3)
    assert np.abs(found.mean(axis=1) - colours).max() <= 2


UNBANDED = {
    "h264": ({}, 0.1),
    "a platform's": ({"edit_list": False, "gop_frames": 15, "max_bitrate": 20_000_000}, 0.1),
    "h265": ({"codec": "h265", "crf": 18}, 0.15),
    "h265 10 bit": ({"codec": "h265", "crf": 18, "pixel_format": "yuv422p10"}, 0.06),
    "prores": ({"codec": "prores", "pixel_format": "yuv422p10"}, 0.04),
}


@pytest.mark.parametrize(("changes", "most"), UNBANDED.values(), ids=UNBANDED)
def test_a_slow_dark_gradient_does_not_band(changes, most: float):
    """Means over 8×8 pixels lie near it; where dither is smoothed away 0.25 of a level off."""
    gradients = [banding.gradient(index) for index in range(16)]
    settings = EncoderSettings(banding.WIDTH, banding.HEIGHT, Fraction(30), **changes)
    encoded = banding.encode(gradients, settings)
    assert banding.errors(encoded, gradients, settings.pixel_format).mean() < most


SOUNDED = {
    "reels": ("{preset: reels, size: 64x96}", "h264 (High)", "aac (LC)"),
    "h265": ("{codec: h265}", "hevc (Main) (hvc1", "aac (LC)"),
    "av1": ("{codec: av1}", "av1", "aac (LC)"),
    "prores": ("prores", "prores (HQ) (apch", "pcm_s16le"),
    "webm": ("webm", "vp9", "opus"),
}


@pytest.mark.parametrize(("output", "codec", "sound"), SOUNDED.values(), ids=SOUNDED)
def test_a_format_carries_sound_and_keeps_its_pictures(folder, tmp_path, output, codec, sound):
    times = np.arange(33 * 1600) / 48_000
    meant = 0.4 * np.sin(2 * np.pi * 330 * times) * np.sin(2 * np.pi * 3 * times)
    audio = str(sounds.write_wav(tmp_path / "beat.wav", meant))
    silent = open_reel(folder, output, size="64x96")
    film = open_reel(folder, output, size="64x96", audio=audio)
    before = render(silent, tmp_path / f"silent{film.timeline.output.suffix}", 33)
    path = render(film, tmp_path / f"reel{film.timeline.output.suffix}", 33)
    told = told_of(path)
    assert codec in told
    assert re.search(rf"Audio: {re.escape(sound)}.*, 48000 Hz, stereo", told)
    assert "start: 0.000000" in told
    pictures = [
        ffmpeg("-v", "error", "-i", each, "-map", "0:v", "-f", "framemd5", "-").stdout
        for each in (before, path)
    ]
    assert pictures[0] == pictures[1]
    heard = sounds.decoded("-i", path)
    assert heard.shape == (33 * 1600, 2)
    # What AAC fades in apart, every sample is in its place.
    assert np.abs(heard - meant[:, None])[1024:].max() < 0.02
    if path.suffix != ".webm":
        tracks = [dict(mp4.boxes(content)) for name, content in moov_of(path) if name == "trak"]
        assert len(tracks) == 2
        assert not any("edts" in track for track in tracks)
        assert boxes_of(path).index("moov") < boxes_of(path).index("mdat")


def moov_of(path: Path) -> list[tuple[str, bytes]]:
    return mp4.boxes(mp4.box(path, "moov"))


def test_a_preset_says_how_many_bits_its_sound_has(folder: Path):
    bitrates = {
        name: settings_of(open_reel(folder, f"{{preset: {name}, size: 64x96}}")).audio_bitrate
        for name in ("reels", "youtube", "tiktok", "webm")
    }
    assert bitrates == {"reels": 128_000, "youtube": 384_000, "tiktok": 192_000, "webm": 192_000}


@pytest.mark.parametrize("output", ["{preset: gif, size: 64x64}", "png"])
def test_sound_that_has_no_place_is_told(folder: Path, tmp_path: Path, output: str):
    film = open_reel(folder, output, audio=f"{{file: {PULSE}, loop: true}}")
    assert any("has no sound: audio is left out" in note for note in film.notes)
    assert render(film, tmp_path / "reel", 3).exists()


@pytest.mark.parametrize(
    ("output", "draft", "frames", "name"),
    [
        ("reels", False, None, "reel-reels.mp4"),
        ("reels", True, None, "reel-reels-draft.mp4"),
        ("draft", False, None, "reel-draft.mp4"),
        ("draft", True, range(2, 5), "reel-draft-frames-2-4.mp4"),
        ("gif", False, None, "reel.gif"),
        ("webm", True, None, "reel-draft.webm"),
        ("prores", False, range(2, 5), "reel-frames-2-4.mov"),
        ("png", False, None, "reel"),
        ("{preset: png, file: out.dir}", False, range(2, 5), "out.dir-frames-2-4"),
        ("x.MP4", False, None, "x.mp4"),
    ],
)
def test_a_film_is_named_after_its_timeline_and_preset(folder, output, draft, frames, name):
    timeline = load_timeline(folder / "reel.yaml", {"output": output})
    assert film_path(timeline, frames, draft=draft).name == name


def test_a_draft_is_small_and_fast_whoever_asks_for_it(folder: Path):
    film = open_reel(folder, "draft", size="64x96")
    assert film.canvas_size == (32, 48)
    assert (settings_of(film).crf, settings_of(film).preset) == (28, "ultrafast")
    asked = settings_of(open_reel(folder, "reel.webm", size="64x96"), draft=True)
    assert (asked.crf, asked.preset) == (33, "ultrafast")


# -- What is refused -------------------------------------------------------------------------------

REFUSED = {
    "too short": ("reels", {"duration": "2s"}, "the length is 2 s, Instagram Reels takes from 3"),
    "too long": ("shorts", {"duration": "181s"}, "the length is 181 s, YouTube Shorts takes"),
    "too small": ("{preset: tiktok, size: 64x96}", {}, "the width is 64 pixels, TikTok takes"),
    "too fast": ("{preset: x, fps: 120}", {}, "the rate is 120 fps, X takes at most 60 fps"),
    "a long GIF": ("gif", {"duration": "18s"}, "the length is 360 frames, X takes at most 350"),
}


@pytest.mark.parametrize(("output", "overrides", "words"), REFUSED.values(), ids=REFUSED)
def test_what_a_platform_refuses_is_refused_before_rendering(folder, output, overrides, words):
    film = open_reel(folder, output, **overrides)
    with pytest.raises(TimelineError) as caught:
        check_outputs([film])
    (found,) = {mistake.message for mistake in caught.value.mistakes if words in mistake.message}
    assert words in found
    with pytest.raises(TimelineError, match="takes"):
        next(encode(film, folder / "never.mp4"))
    assert not (folder / "never.mp4").exists()


def test_a_gif_that_will_be_too_large_is_told_before(folder: Path):
    (note,) = notes_of([open_reel(folder, "{preset: gif, size: 540x960}")])
    assert note == (
        "gif: the file will have about 21 MB, X takes at most 15,000,000 bytes (X Developer"
        " Platform, media upload best practices, 2026-11): make it shorter, slower or about"
        " 458 pixels wide"
    )
    for output in ("{preset: gif, size: 458x814}", "{size: 540x960, file: x.gif, fps: 20}", "webm"):
        assert notes_of([open_reel(folder, output)]) == []


def test_a_gif_takes_about_as_many_bytes_as_is_expected(tmp_path: Path):
    film = open_film(load_timeline(demo.TIMELINE, {"output": "{preset: gif, size: 160x160}"}))
    path = render(film, tmp_path / "demo.gif", 12)
    assert 0.3 < path.stat().st_size / (12 * 160 * 160) < 0.75


def test_a_part_or_a_draft_is_for_nobodys_platform(folder: Path):
    film = open_reel(folder, "reels", duration="2s")
    check_outputs([film], frames=range(3))
    check_outputs([film], draft=True)
    check_outputs([open_reel(folder, "reels")])


def test_hardware_that_is_not_there_is_refused_with_the_reason(folder: Path):
    film = open_reel(folder, "{encoder: h264_videotoolbox}", size="64x64")
    with pytest.raises(OptionError) as caught:
        check_outputs([film])
    assert str(caught.value) == (
        "h264_videotoolbox does not work here: this ffmpeg has none of this name (ffmpeg: Unknown"
        " encoder 'h264_videotoolbox'); without encoder: it is libx264 that makes h264"
    )


def test_an_encoder_is_tried_and_not_looked_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What ffmpeg lists may not work: only a frame tells."""
    settings = EncoderSettings(64, 64, Fraction(30), codec="h265", title=str(tmp_path))
    check_encoder(settings)
    fake = tmp_path / "ffmpeg"
    fake.write_text("#!/bin/sh\necho 'no device' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr("animix.video.trial.find_ffmpeg", lambda: str(fake))
    with pytest.raises(OptionError, match=r"libx265 does not work here: ffmpeg says no device; "):
        check_encoder(replace(settings, crf=3))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("[hevc_nvenc @ 0x1] [x] Cannot load libcuda.so.1\n[vf#0:0 @ 0x2] Task", "no driver of NV"),
        ("Conversion failed!\n[h264_nvenc @ 0x1] No capable devices found\n", "no GPU here can"),
        ("\n[enc @ 0x1] first\nsecond", "^ffmpeg says first$"),
        ("[enc @ 0x1] " + "x" * 5000, "^ffmpeg says x{200}$"),
        ("", "says nothing"),
    ],
)
def test_of_all_that_ffmpeg_says_the_reason_is_told(words: str, reason: str):
    told = reason_in(words)
    assert re.search(reason, told)
    assert "\n" not in told


def test_every_ffmpeg_has_the_usual_encoders(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def never(settings: EncoderSettings) -> None:
        pytest.fail("the usual encoder was tried")

    monkeypatch.setattr(delivery, "check_encoder", never)
    for output in ("reel.mp4", "{preset: gif, size: 64x64}", "png"):
        check_outputs([open_reel(folder, output)])


def test_a_file_that_is_too_large_is_told(folder: Path, tmp_path: Path):
    film = open_reel(folder, "{preset: gif, size: 64x64}")
    target = tmp_path / "reel.gif"
    assert size_warning(film, target) is None
    target.write_bytes(b"")
    assert size_warning(film, target) is None
    with target.open("wb") as file:
        file.truncate(15_000_001)
    assert "has 15,000,001 bytes, X takes at most 15,000,000 bytes" in size_warning(film, target)
    assert size_warning(open_reel(folder, "reel.gif", fps="20"), target) is None
