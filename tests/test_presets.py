"""Presets stand in one file, each number with its source, and refuse what platforms refuse."""

import re
from dataclasses import replace
from fractions import Fraction

import pytest

from animix.timeline.presets import NUMBERS, Limit, Source, presets, refusals

NAMES = (
    *("tiktok", "reels", "shorts", "youtube", "x", "x-premium", "square"),
    *("gif", "webm", "prores", "png", "draft"),
)
SOURCE = Source("a page", "https://example.org", "2026-09")
PLAN = {"size": (1080, 1920), "fps": Fraction(30), "num_frames": 450, "bitrate": None}


def test_the_presets_are_these():
    assert tuple(presets()) == NAMES


@pytest.mark.parametrize("preset", presets().values(), ids=presets())
def test_each_number_has_a_source_with_a_date(preset):
    sources = [*preset.sources.values(), *(limit.source for limit in preset.limits)]
    assert set(preset.sources) == {name for name in NUMBERS if getattr(preset, name) is not None}
    for source in sources:
        assert re.fullmatch(r"20[0-9]{2}-[01][0-9]", source.date)
        assert source.url.startswith("https://") or source.title == "animix's own choice"


REFUSED = {
    "too long": (
        ("reels", {"num_frames": 30 * 901}),
        "reels: the length is 901 s, Instagram Reels takes from 3 to 900 s",
        "write duration: 900s",
    ),
    "too short": (
        ("reels", {"num_frames": 60}),
        "the length is 2 s, Instagram Reels takes from 3 to 900 s",
        "write duration: 3s",
    ),
    "too slow": (
        ("tiktok", {"fps": Fraction(20)}),
        "the rate is 20 fps, TikTok takes from 23 to 60 fps",
        "write fps: 30 (TikTok for Developers",
    ),
    "too wide": (
        ("reels", {"size": (2048, 1152)}),
        "the width is 2,048 pixels, Instagram Reels takes at most 1,920 pixels",
        "write size: 1080x1920",
    ),
    "too small": (("tiktok", {"size": (320, 640)}), "the width is 320 pixels", "1080x1920"),
    "lying down": (
        ("shorts", {"size": (1920, 1080)}),
        "width over height is 1.778, YouTube Shorts takes at most 1",
        "write size: 1080x1920",
    ),
    "too tall": (("x", {"size": (320, 1280)}), "width over height is 0.25, X takes", "720x1280"),
    "too many bits": (
        ("reels", {"bitrate": 30_000_000}),
        "the bitrate is 30,000,000 bits a second",
        "write a smaller bitrate",
    ),
    "too large a file": (
        ("reels", {"bitrate": 20_000_000, "num_frames": 30 * 200}),
        "the file has 500,000,000 bytes, Instagram Reels takes at most 300,000,000 bytes",
        "write a smaller bitrate",
    ),
    "too many frames of a GIF": (
        ("gif", {"size": (540, 960), "fps": Fraction(25), "num_frames": 375}),
        "gif: the length is 375 frames, X takes at most 350 frames",
        "fps: 20 gives 300 (X Developer Platform, media upload best practices, 2026",
    ),
    "too long for a GIF": (
        ("gif", {"size": (54, 96), "fps": Fraction(10), "num_frames": 600}),
        "the length is 600 frames",
        "write a shorter duration",
    ),
    "too many pixels of a GIF": (
        ("gif", {"size": (1280, 1080), "fps": Fraction(20), "num_frames": 300}),
        "all frames together are 414,720,000 pixels, X takes at most 300,000,000",
        "write a smaller size, fewer fps or a shorter duration",
    ),
}


@pytest.mark.parametrize(("film", "message", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_a_platform_refuses_is_told_with_its_number(film, message, hint):
    name, changes = film
    (found,) = refusals(presets()[name], **PLAN | changes)
    assert message in found.message
    assert hint in found.hint


def test_all_that_is_refused_is_told_at_once():
    found = refusals(presets()["tiktok"], **PLAN | {"fps": Fraction(120), "size": (100, 100)})
    assert len(found) == 3


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("gif", "youtube")])
def test_fifteen_seconds_are_taken(name):
    assert refusals(presets()[name], **PLAN) == []


WRONG = {
    "no source": ({"sources": {}}, "size needs a value and a source"),
    "odd": ({"size": (1081, 1920)}, "is not even"),
    "no such crf": ({"crf": 52}, "h264 takes no crf of 52"),
    "a crf for ProRes": ({"codec": "prores"}, "prores takes no crf"),
    "refuses itself": ({"size": (2160, 3840)}, "breaks its own limit of width"),
    "too many bits": ({"max_bitrate": 26_000_000}, "breaks its own limit of bitrate"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_a_preset_that_can_not_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(presets()["reels"], **changes)


@pytest.mark.parametrize(
    ("quantity", "low", "high", "words"),
    [
        ("furlongs", 1, 2, "is none of seconds"),
        ("seconds", None, None, "has no bound"),
        ("seconds", 3, 2, "is nothing at all"),
    ],
)
def test_a_limit_that_can_not_be_is_refused(quantity, low, high, words):
    with pytest.raises(ValueError, match=words):
        Limit(quantity, low, high, SOURCE)


@pytest.mark.parametrize("gap", ["title", "url", "date"])
def test_a_source_without_a_date_or_a_place_is_refused(gap):
    with pytest.raises(ValueError, match="needs a title, an address and a date"):
        replace(SOURCE, **{gap: ""})
