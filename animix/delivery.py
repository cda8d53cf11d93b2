"""Delivery: what a film is encoded as for its output, and what would be refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from animix.errors import Mark, Mistake, TimelineError
from animix.film import Film
from animix.timeline.formats import CODECS
from animix.timeline.output import Output
from animix.timeline.presets import number, refusals
from animix.video.segments import is_cut, segment_frames, segments_of
from animix.video.settings import EncoderSettings
from animix.video.trial import check_encoder

DRAFT_CRF = 11
"""How much worse a draft is."""
FILE_SHARE = Fraction(97, 100)
"""Of the largest file that a platform takes; tables come on top of pictures and sound."""
LARGEST_CAP = 200_000_000
"""Bits a second that no clip takes: no cap is needed there."""
ALWAYS_HERE = ("libx264", "gif", "png")
"""What every ffmpeg that renders has. It would say so with the first frame."""


def settings_of(film: Film, *, draft: bool = False) -> EncoderSettings:
    """What a film is encoded as, by its timeline's output."""
    output, fps = film.timeline.output, film.schedule.fps
    width, height = film.canvas_size
    settings = EncoderSettings(
        width,
        height,
        fps,
        title=film.timeline.title,
        codec=output.codec,
        encoder=output.encoder,
        pixel_format=output.pixel_format,
        crf=0 if output.crf is None else output.crf,
        bitrate=output.bitrate,
    )
    if output.preset is not None and output.preset.gop_seconds is not None:
        length = max(1, round(output.preset.gop_seconds * fps))
        settings = replace(settings, gop_frames=length)
    if output.preset is not None and output.preset.edit_list is False:
        settings = replace(settings, edit_list=False)
    if output.preset is not None and output.preset.audio_bitrate is not None:
        settings = replace(settings, audio_bitrate=output.preset.audio_bitrate)
    cap = _max_bitrate(output, settings, film.schedule.num_frames)
    settings = replace(settings, max_bitrate=cap)
    if draft or output.is_draft:
        worse = min(settings.crf + DRAFT_CRF, CODECS[output.codec].worst_crf)
        crf = output.crf if output.is_draft and output.crf is not None else worse
        settings = replace(settings, crf=crf, preset="ultrafast")
    return settings


def _max_bitrate(output: Output, settings: EncoderSettings, num_frames: int) -> int | None:
    """The cap of a preset, or what keeps the file below the platform's size; bits a second.

    It holds for every second, so a segment has at most as much as one second more would take.
    """
    if output.preset is None or CODECS[output.codec].crf is None:
        return None
    caps = [cap for cap in (output.preset.max_bitrate,) if cap is not None]
    largest = output.preset.limit("bytes")
    if largest is not None and largest.high is not None:
        sound = output.preset.audio_bitrate or 0
        num_segments = 1
        if is_cut(settings):
            num_segments = len(segments_of(range(num_frames), segment_frames(settings)))
        seconds = num_frames / settings.fps + num_segments
        fitting = int(largest.high * 8 * FILE_SHARE / seconds) - sound
        if fitting < LARGEST_CAP:
            caps.append(max(1, fitting))
    cap = min(caps, default=None)
    return cap if cap is None or output.bitrate is None else max(cap, output.bitrate)


def check_output(film: Film, *, frames: range | None = None, draft: bool = False) -> None:
    """Refuse what the output's platform would refuse, and an encoder that doesn't work here.

    A part of the film or a draft is for nobody's platform. TimelineError with all reasons;
    OptionError with ffmpeg's words.
    """
    output = film.timeline.output
    if output.preset is not None and frames is None and not draft:
        mark = output.mark or Mark(str(film.timeline.path), 0, 0)
        found = refusals(
            output.preset,
            size=film.canvas_size,
            fps=film.schedule.fps,
            num_frames=film.schedule.num_frames,
            bitrate=output.bitrate,
        )
        if found:
            raise TimelineError([Mistake(mark, each.message, each.hint) for each in found])
    settings = settings_of(film, draft=draft)
    if settings.made_by not in ALWAYS_HERE:
        check_encoder(replace(settings, title=""))


def size_warning(film: Film, target: Path) -> str | None:
    """What to say of a finished file that is larger than its platform takes."""
    preset = film.timeline.output.preset
    limit = preset.limit("bytes") if preset else None
    if preset is None or limit is None or limit.high is None or not target.is_file():
        return None
    size = target.stat().st_size
    if size <= limit.high:
        return None
    return (
        f"{target} has {number(size)} bytes, {preset.platform} takes {limit.words}"
        f" ({limit.source}): make it smaller, shorter or slower"
    )
