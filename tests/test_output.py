"""An output is a preset, a file or a map, and every mistake in it is told where it stands."""

from fractions import Fraction
from pathlib import Path

import pytest

from animix.errors import TimelineError
from animix.timeline.output import Output
from animix.timeline.reader import read_timeline

START = "networks: {faces: ffhq.pkl}\nduration: 6s\n"


def read(text, overrides=None):
    return read_timeline(START + text, "/films/reel.yaml", overrides)


def mistakes_of(text):
    with pytest.raises(TimelineError) as caught:
        read(text)
    return caught.value.mistakes


def test_without_an_output_it_is_an_mp4_as_the_timeline_has_it():
    timeline = read("size: 64x64\nfps: 24")
    output = timeline.output
    assert (output.codec, output.container, output.pixel_format) == ("h264", "mp4", "yuv420p")
    assert (output.crf, output.bitrate, output.file) == (17, None, None)
    assert (timeline.size, timeline.fps) == ((64, 64), 24)


WRITTEN = {
    "mp4": ("x.mp4", {"codec": "h264", "file": Path("/films/x.mp4")}),
    "MP4": ("out/x.MP4", {"codec": "h264", "file": Path("/films/out/x.MP4")}),
    "webm": ("x.webm", {"codec": "vp9", "pixel_format": "yuv420p", "crf": 22}),
    "mov": ("x.mov", {"codec": "prores", "pixel_format": "yuv422p10", "crf": None}),
    "reels": ("reels", {"codec": "h264", "size": (1080, 1920), "fps": 30, "crf": 17}),
    "youtube": ("youtube", {"size": (1920, 1080), "fps": None, "crf": 16}),
    "prores": ("prores", {"codec": "prores", "size": None}),
    "png": ("{preset: png, file: frames}", {"codec": "png", "file": Path("/films/frames")}),
    "x-premium": ("{preset: x-premium, fps: 60}", {"size": (1080, 1920), "fps": 60}),
    "size": ("{preset: reels, size: 720 x 1280}", {"size": (720, 1280)}),
    "h265": ("{codec: h265}", {"codec": "h265", "crf": 18, "container": "mp4"}),
    "h265 10 bit": (
        "{codec: h265, pixel-format: yuv422p10, crf: 12}",
        {"pixel_format": "yuv422p10", "crf": 12},
    ),
    "av1": ("{codec: av1, file: a.mp4, bitrate: 2.5M}", {"bitrate": 2_500_000, "crf": None}),
    "codec of a preset": ("{preset: reels, codec: h265}", {"codec": "h265", "crf": 18}),
    "encoder": ("{encoder: h264_nvenc}", {"encoder": "h264_nvenc"}),
    "kilobits": ("{bitrate: 800 kbps}", {"bitrate": 800_000}),
    "fit": ("{preset: square, fit: cover}", {"fit": "cover"}),
}


@pytest.mark.parametrize(("line", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_an_output_is_read(line, expected):
    output = read(f"output: {line}").output
    assert {name: getattr(output, name) for name in expected} == expected


def test_size_fps_and_fit_of_the_output_rule_and_the_seconds_stay():
    text = "fps: 30\nduration: 6s\nframe: {fit: contain, zoom: {15f: 1, 3s: 2}}\n"
    text = text.replace("duration: 6s\n", "")
    timeline = read(text + "output: {preset: gif, size: 64x96, fps: 25, fit: cover}")
    output = timeline.output
    assert (output.size, output.fps, output.fit) == ((64, 96), 25, "cover")
    assert (timeline.fps, timeline.duration_seconds, timeline.frame.fit) == (30, 6, "contain")
    assert timeline.clip(loop=True).num_frames_at(output.fps) == 150
    # The timeline's own frames are counted at its own rate.
    assert timeline.frame.zoom.keys[0].time.seconds == Fraction(1, 2)


def test_a_preset_can_be_set():
    assert read("fps: 30", {"output": "reels"}).output.size == (1080, 1920)
    assert read("output: {preset: reels}", {"output.preset": "square"}).output.size == (1080, 1080)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("size: 640x360\noutput: reels", "reels is 1080x1920, not 640x360; output: {preset: reels"),
        ("fps: 25\noutput: reels", "reels has 30 fps, not 25; output: {preset: reels, fps: 25}"),
        ("output: {preset: reels, size: 541x961}", "size 541x961 is rounded up to 542x962"),
    ],
)
def test_what_a_preset_changes_is_told(text, words):
    (note,) = read(text).notes
    assert words in note


@pytest.mark.parametrize("text", ["output: reels", "size: 4x4", "fps: 60\noutput: youtube"])
def test_what_was_not_written_is_not_told_as_changed(text):
    text = text.replace("size: 4x4", "size: 32x32\noutput: {preset: reels, size: 64x64}")
    assert read(text).notes == ()


MISTAKES = {
    "preset": ("output: reals", 9, 'unknown output preset "reals"', 'did you mean "reels"?'),
    "no preset": ("output: vhs", 9, 'unknown output preset "vhs"', "the presets are tiktok, reels"),
    "key": ("output: {presett: gif}", 10, 'unknown key "presett"', 'did you mean "preset"?'),
    "empty": ("output: {}", 9, "no preset and no file", "reel.mp4"),
    "nothing": ("output: ", 8, "output has no value", "expected a preset or a file"),
    "an empty text": ('output: ""', 9, "output has no value", "expected a preset or a file"),
    "null in a list": ("output: [null]", 10, "output has no value", "expected a preset or a file"),
    "an empty preset": ("output: {preset: }", 18, "preset has no value", "expected a preset"),
    "an empty file": ("output: {file: }", 16, "file has no value", "expected a file's name"),
    "a side of one": ("output: {size: 1x1}", 16, "a side of 1 pixel: expected 16 to 16384", ""),
    "ending": (
        "output: reel.avi",
        9,
        '"reel.avi" names no kind of film',
        ".mp4, .webm, .mov, .gif",
    ),
    "typo": ("output: reel.mp5", 9, "names no kind of film", 'did you mean ".mp4"?'),
    "a picture": ("output: x.png", 9, "pictures go to a folder", "{preset: png, file: x}"),
    "a file of png": (
        "output: {preset: png, file: x.mp4}",
        29,
        "png writes a folder of pictures",
        "write file: x",
    ),
    "preset and file": (
        "output: {preset: gif, file: x.mp4}",
        29,
        "the preset gif goes into gif, the file's name ends in .mp4",
        "let it end in .gif",
    ),
    "codec": ("output: {codec: h624}", 17, 'unknown codec "h624"', 'did you mean "h264"?'),
    "codec and file": (
        "output: {codec: prores, file: x.mp4}",
        31,
        "prores goes into mov, the file's name ends in .mp4",
        "let it end in .mov",
    ),
    "codec and preset": (
        "output: {preset: reels, codec: vp9}",
        32,
        "reels is written as mp4, vp9 goes into webm",
        "choose of h264, h265, av1",
    ),
    "encoder": (
        "output: {codec: h265, encoder: libx264}",
        32,
        'unknown encoder of h265 "libx264"',
        'did you mean "libx265"?',
    ),
    "pixel format": (
        "output: {pixel-format: yuv422p10}",
        24,
        "h264 is not made from yuv422p10",
        "expected yuv420p",
    ),
    "no pixel format": (
        "output: {pixel-format: yuv42p}",
        24,
        'unknown pixel format "yuv42p"',
        'did you mean "yuv420p"?',
    ),
    "crf": (
        "output: {crf: 52}",
        15,
        'crf is "52": expected a whole number from 0 to 51',
        "17 is near perfect",
    ),
    "fractional crf": ("output: {crf: 1.5}", 15, 'crf is "1.5"', ""),
    "lossless": (
        "output: {preset: reels, crf: 0}",
        30,
        "crf 0 is lossless, which Instagram Reels does not take",
        "write crf: 1 or more",
    ),
    "crf of gif": ("output: {preset: gif, crf: 3}", 28, "gif has no crf", "leave crf out"),
    "bitrate": ("output: {bitrate: 8}", 19, '"8" is no bitrate', "8M (megabits a second)"),
    "small bitrate": ("output: {bitrate: 1k}", 19, 'a bitrate of "1k": expected 10k', ""),
    "bitrate of ProRes": (
        "output: {preset: prores, bitrate: 8M}",
        35,
        "prores has no bitrate",
        "leave bitrate out",
    ),
    "two rates": (
        "output: {crf: 17, bitrate: 8M}",
        28,
        "crf and bitrate both say how large",
        "keep one of them",
    ),
    "size": ("output: {size: 1080}", 16, '"1080" is no size', "1080x1920"),
    "fps": ("output: {fps: fast}", 15, '"fast" is no number of frames', "29.97"),
    "fit": ("output: {fit: covr}", 15, 'unknown fit "covr"', 'did you mean "cover"?'),
    "a GIF at 30 fps": ("output: x.gif", 9, "a GIF can't show 30 frames a second", "5, 10, 20, 25"),
    "a GIF at 60 fps": (
        "output: {preset: gif, fps: 60}",
        18,
        "a GIF can't show 60 frames a second",
        "10, 20, 25 or 50",
    ),
    "none of several": ("output: []", 9, "output is an empty list", "[reels, reel.gif]"),
    "a list in a list": ("output: [[reels], gif]", 10, "an output is no list", "[reels, reel.gif]"),
    "a mistake in the second": ("output: [reels, gof]", 17, "unknown output preset", '"gif"?'),
    "very many": (f"output: [{'reels, ' * 17}]", 9, "17 outputs: expected up to 16", "--set"),
    "rates without a common clock": (
        "output: [{fps: 1000999/1001}, {fps: 999983/1000}, {fps: 997991/999}, {fps: 99991/997}]",
        10,
        "frames a second have no moments in common",
        "one by one",
    ),
    "no text": ("output: {preset: [reels]}", 18, "preset is a preset", ""),
    "extend": (
        "frame: {fit: blur}\noutput: {size: 100x800, fit: extend}",
        9,
        "fit: extend reaches 4:1, but 100x800 is longer",
        "another fit",
    ),
    "too many frames": (
        "output: {preset: webm, fps: 1000}\n",
        0,
        "hours are more than 1000000 frames at 1000 fps",
        "",
    ),
}


@pytest.mark.parametrize(("text", "column", "message", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_where_it_stands(text, column, message, hint):
    start = "networks: {faces: ffhq.pkl}\nduration: 6s\n"
    if not column:
        start, column = start.replace("6s", "2000s"), 11
    with pytest.raises(TimelineError) as caught:
        read_timeline(start + text, "reel.yaml")
    (found,) = caught.value.mistakes
    assert found.mark.column == column
    assert message in found.message
    assert hint in found.hint


def test_all_mistakes_are_told_in_one_run():
    found = mistakes_of("output: {preset: reals, size: big, fps: slow, codec: h26, crf: low}")
    assert len(found) == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixel_format": "rgb24"}, "h264 is not made from rgb24"),
        ({"encoder": "libx265"}, "libx265 does not make h264"),
        ({"crf": 17, "bitrate": 8_000_000}, "one of them rules"),
    ],
)
def test_an_output_that_can_not_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        Output(**changes)
