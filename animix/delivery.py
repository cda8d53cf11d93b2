"""Delivery: what a film is encoded as for its output, and what would be refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from animix.errors import Mark, Mistake, TimelineError
from animix.film import Film
from animix.timeline.formats import CODECS, Container
from animix.timeline.output import Output
from animix.timeline.presets import number, refusals
from animix.timeline.timeline import Timeline
from animix.video.place import is_of_pictures
from animix.video.segments import segment_frames, segments_of
from animix.video.settings import EncoderSettings, is_joined
from animix.video.trial import check_encoder
from animix.whole_file import part_of

RENDERS = Path("renders")
"""Where results land, seen from the current folder, unless they are told where to go."""
DRAFT_CRF = 11
"""How much worse a draft is."""
FILE_SHARE = Fraction(97, 100)
"""Of the largest file that a platform takes; tables come on top of pictures and sound."""
LARGEST_CAP = 200_000_000
"""Bits a second that no clip takes: no cap is needed there."""
GIF_BYTES_A_PIXEL = 0.5
"""Of a GIF, about: 0.44 to 0.53 seen, with the demo's networks and examples at 256 and 480 px."""
ALWAYS_HERE = ("libx264", "gif", "png")
"""What every ffmpeg that renders has. It would say so with the first frame."""


def settings_of(film: Film, *, draft: bool = False) -> EncoderSettings:
    """What a film is encoded as, by its timeline's output."""
    output, fps = film.output, film.schedule.fps
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
        if is_joined(settings):
            num_segments = len(segments_of(range(num_frames), segment_frames(settings)))
        seconds = num_frames / settings.fps + num_segments
        fitting = int(largest.high * 8 * FILE_SHARE / seconds) - sound
        if fitting < LARGEST_CAP:
            caps.append(max(1, fitting))
    cap = min(caps, default=None)
    return cap if cap is None or output.bitrate is None else max(cap, output.bitrate)


def check_outputs(
    films: Sequence[Film], *, frames: range | None = None, draft: bool = False
) -> None:
    """Refuse what outputs' platforms would refuse, and encoders that don't work here.

    A part of a film or a draft is for nobody's platform. TimelineError with all reasons;
    OptionError with ffmpeg's words.
    """
    mistakes: list[Mistake] = []
    for film in films if frames is None and not draft else ():
        mistakes += _refused(film)
    if mistakes:
        raise TimelineError(dict.fromkeys(mistakes))
    for film in films:
        settings = settings_of(film, draft=draft)
        if settings.made_by not in ALWAYS_HERE:
            check_encoder(replace(settings, title=""))


def _refused(film: Film) -> list[Mistake]:
    output = film.output
    if output.preset is None:
        return []
    mark = output.mark or Mark(str(film.timeline.path), 0, 0)
    found = refusals(
        output.preset,
        size=film.canvas_size,
        fps=film.schedule.fps,
        num_frames=film.schedule.num_frames,
        bitrate=output.bitrate,
    )
    return [Mistake(mark, each.message, each.hint) for each in found]


def check_places(timeline: Timeline) -> None:
    """Refuse outputs that would write over each other; TimelineError with all of them."""
    places: dict[str, Output] = {}
    mistakes = []
    for output in timeline.outputs:
        place = film_path(timeline, output=output)
        if places.setdefault(os.path.realpath(place), output) is not output:
            mark = output.mark or Mark(str(timeline.path), 0, 0)
            message = f"a second output would be written to {place}"
            mistakes.append(Mistake(mark, message, "give it a file: of its own"))
    if mistakes:
        raise TimelineError(mistakes)


def check_targets(timeline: Timeline) -> None:
    """Refuse outputs that can't be written where the timeline has them; TimelineError with all.

    Whether a folder can be written to is known when something is: it goes again.
    """
    mistakes = []
    for output in timeline.outputs:
        target = film_path(timeline, output=output)
        if problem := _problem_of(target, output.container):
            mark = output.mark or Mark(str(timeline.path), 0, 0)
            mistakes.append(Mistake(mark, f"{target}: {problem}", "name another output"))
    if mistakes:
        raise TimelineError(mistakes)


def _problem_of(target: Path, container: Container) -> str:
    """Why no film can stand at a path, as far as that is seen before it is written; or nothing."""
    target = Path(os.path.realpath(target))
    try:
        if container == "png" and target.exists() and not is_of_pictures(target):
            return "is no folder of pictures that others could replace"
        if container != "png" and target.exists() and not target.is_file():
            return "is no file that a film could replace"
        folder = next(each for each in target.parents if each.exists())
        trial = part_of(folder / target.name)
        trial.touch()
        trial.unlink()
    except OSError as error:
        return f"can't be written: {error.strerror}"
    return ""


def notes_of(films: Sequence[Film], targets: Sequence[Path] | None = None) -> list[str]:
    """What the user should know before films are rendered.

    Notes name the outputs that they are about by ``targets``; None: where the timeline has them.
    """
    targets = targets or [film_path(film.timeline, output=film.output) for film in films]
    notes = [note for film in films for note in film.notes]
    own: dict[str, list[str]] = {}
    for film, target in zip(films, targets, strict=True):
        warning = expected_size_warning(film)
        for note in (*film.own_notes, *([warning] if warning else [])):
            own.setdefault(note, []).append(str(target))
    for note, places in own.items():
        # What is so of all outputs is of none in particular.
        notes.append(note if len(places) == len(films) else f"{', '.join(places)}: {note}")
    return list(dict.fromkeys(notes))


def expected_size_warning(film: Film) -> str | None:
    """What to say of a GIF that will probably be larger than its platform takes."""
    preset = film.output.preset
    limit = preset.limit("bytes") if preset else None
    if film.output.codec != "gif" or preset is None or limit is None or limit.high is None:
        return None
    width, height = film.canvas_size
    expected = GIF_BYTES_A_PIXEL * width * height * film.schedule.num_frames
    if expected <= limit.high:
        return None
    smaller = int(width * (float(limit.high) / expected) ** 0.5) // 2 * 2
    return (
        f"{preset.name}: the file will have about {expected / 1e6:.0f} MB, {preset.platform} takes"
        f" {limit.words} ({limit.source}): make it shorter, slower or about {smaller} pixels wide"
    )


def size_warning(film: Film, target: Path) -> str | None:
    """What to say of a finished file that is larger than its platform takes."""
    preset = film.output.preset
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


def film_path(
    timeline: Timeline,
    frames: range | None = None,
    *,
    draft: bool = False,
    output: Output | None = None,
) -> Path:
    """Where the film of an output (None: the first) goes if nobody says.

    Drafts and ranges of frames get names of their own.
    """
    output = timeline.output if output is None else output
    name = timeline.name
    if output.preset is not None and output.container == "mp4":
        name += f"-{output.preset.name}"
    planned = output.file or RENDERS / f"{name}{output.suffix}"
    name = planned.stem if output.suffix else planned.name
    if frames is not None:
        name += f"-frames-{frames.start}-{frames.stop - 1}"
    if draft and not output.is_draft:
        name += "-draft"
    return Path(os.path.normpath(planned.with_name(f"{name}{output.suffix}")))
