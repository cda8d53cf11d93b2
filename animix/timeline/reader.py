"""Reads timelines: a YAML document becomes a Timeline, or all its mistakes at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from PIL import ImageColor

from animix.errors import Mark, Mistake, TimelineError
from animix.timeline.audio import read_audio
from animix.timeline.bands import read_bands
from animix.timeline.clock import Clock
from animix.timeline.framing import FITS, Fit
from animix.timeline.instants import LARGEST_NUMBER, common_rate
from animix.timeline.latent_path import read_latents
from animix.timeline.layers import read_blend
from animix.timeline.length import mark_of_length, read_length
from animix.timeline.misread import Misread, quoted, suggestion
from animix.timeline.music import read_markers, read_sections, read_tempo
from animix.timeline.names import check_name
from animix.timeline.nodes import Broken, ListNode, MapNode, Node
from animix.timeline.output import (
    Output,
    check_rate,
    override_notes,
    parse_fps,
    read_outputs,
    read_size,
)
from animix.timeline.reading import Reading, TooManyMistakes
from animix.timeline.seams import certain_mistakes, speeds, tracks
from animix.timeline.source import source_text
from animix.timeline.template import Template, read_template
from animix.timeline.timeline import BlendLayer, Frame, Into, NetworkRun, Noise, Timeline
from animix.timeline.times import parse_length
from animix.timeline.values import Quantity, read_track, read_tracks
from animix.timeline.variants import Variant
from animix.timeline.vocabulary import (
    ELSEWHERE,
    FRAME_KEYS,
    KEYS,
    LATER_KEYS,
    NOISES,
    REUSE_KEYS,
)

DEFAULT_TRUNCATION = 0.7
MOST_EXTENDED = 4
"""Squares side by side that ``fit: extend`` paints: as much memory and time as so many pictures."""
MOST_SAMPLES = 40_000_000
"""Frames times tracks that move; all their values are held at once, eight bytes each."""

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def is_timeline(path: Path) -> bool:
    """Whether a file is read as a timeline, and not as a network, by its name."""
    return path.suffix.lower() in (".yaml", ".yml")


def load_timeline(
    path: str | Path, overrides: Mapping[str, str] | None = None, only: Sequence[str] = ()
) -> Timeline:
    """The timeline in a YAML file; ``overrides`` maps dotted keys to YAML texts, as ``--set`` does.

    Where the file has variants, ``only`` chooses one, as ``--only`` does: ``["seed=7"]``.

    Raises TimelineError with every mistake in the file, each with its line and column, and where
    there are several variants; OptionError where there is none of those wanted.
    """
    return read_timeline(_text(Path(path)), path, overrides, only)


def variants(
    path: str | Path, overrides: Mapping[str, str] | None = None, only: Sequence[str] = ()
) -> list[Timeline]:
    """A timeline for each variant of a YAML file; one where it has no variants.

    Raises TimelineError with every mistake in any of them, each told once.
    """
    found = list(load_each(path, overrides, only))
    mistakes = [m for one in found if isinstance(one, Unread) for m in one.error.mistakes]
    if mistakes:
        raise TimelineError(dict.fromkeys(mistakes))
    return [one for one in found if isinstance(one, Timeline)]


@dataclass(frozen=True)
class Unread:
    """A variant that can't be read."""

    variant: Variant | None
    error: TimelineError


def load_each(
    path: str | Path, overrides: Mapping[str, str] | None = None, only: Sequence[str] = ()
) -> Iterator[Timeline | Unread]:
    """As ``variants``, one after the other, with what can't be read in its place."""
    return read_each(_text(Path(path)), path, overrides, only)


def read_each(
    text: str,
    path: str | Path,
    overrides: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    *,
    listen: bool = True,
) -> Iterator[Timeline | Unread]:
    """As ``load_each``, from the text of a file, as ``read_timeline`` has it."""
    template = read_template(text, Path(path), overrides or {})
    for variant in template.chosen(only):
        try:
            yield _read(template, variant, listens=listen)
        except TimelineError as error:
            yield Unread(variant, error)


def _text(path: Path) -> str:
    try:
        return source_text(path)
    except Misread as misread:
        raise TimelineError([Mistake(Mark(str(path), 0, 0), misread.message)]) from misread


def read_timeline(
    text: str,
    path: str | Path,
    overrides: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    *,
    listen: bool = True,
) -> Timeline:
    """As ``load_timeline``, from the text of a file; ``path`` is where paths in it start from.

    Of a stranger's text, ``listen=False`` opens no sound: ``bpm: auto`` is a mistake there.

    >>> text = "{networks: {faces: ffhq.pkl}, duration: 6s, latents: [3, 17, 42]}"
    >>> read_timeline(text, "reel.yaml").num_frames
    180
    """
    template = read_template(text, Path(path), overrides or {})
    return _read(template, template.one(only), listens=listen)


def _read(template: Template, variant: Variant | None, *, listens: bool = True) -> Timeline:
    """The timeline that a template is for one of its variants."""
    root, mistakes = template.filled(variant)
    reading = Reading(
        mistakes=[*template.mistakes, *mistakes], notes=list(template.notes), listens=listens
    )
    try:
        timeline = _timeline(reading, root, template.path, variant)
    except TooManyMistakes:
        timeline = None
    if reading.mistakes or timeline is None:
        raise TimelineError(reading.mistakes)
    return replace(timeline, bases=tuple(template.bases.values()))


def _timeline(reading: Reading, root: Node, path: Path, variant: Variant | None) -> Timeline | None:
    """The timeline that a document describes; without meaning where mistakes were noted."""
    if not isinstance(root, MapNode):
        if not isinstance(root, Broken):
            hint = "write networks: {faces: ffhq.pkl} and so on, one key a line"
            reading.note(root.mark, "a timeline is a map of keys", hint)
        return None
    found = reading.options(root, "a timeline", (*KEYS, *REUSE_KEYS), LATER_KEYS, ELSEWHERE)
    mark = Mark(str(path), 0, 0)
    own_fps = reading.read(found.get("fps"), "fps", "a number", parse_fps) or Fraction(30)
    reading.clock = Clock(own_fps)
    read_tempo(reading, found.get("audio"), path.parent)
    outputs = read_outputs(reading, found.get("output"), path)
    rates = {output.fps or own_fps for output in outputs}
    reading.duration = read_length(reading, found, path.parent, max(rates), mark)
    read_markers(reading, found.get("markers"))
    read_sections(reading, found.get("sections"))
    networks = _networks(reading, found.get("networks"), mark)
    blend = read_blend(reading, found.get("blend"), networks, mark)
    truncation = Quantity("truncation")
    label = Quantity("label", "names", low=0, whole=True)
    loops: dict[str, Literal["auto", True, False]] = {"auto": "auto", "true": True, "false": False}
    title = reading.words(found.get("title"), "title", "a text")
    size = read_size(reading, found.get("size"))
    # What a clip doesn't say its outputs may agree on.
    fps = rates.pop() if "fps" not in found and len(rates) == 1 else own_fps
    frame, fit_mark = _frame(reading, found.get("frame"), mark)
    noted = reading.num_noted
    audio = read_audio(reading, found.get("audio"), path.parent)
    is_silent = audio is None and reading.num_noted == noted
    for output in outputs:
        reading.notes += override_notes(output, size, fps if "fps" in found else None)
        check_rate(reading, output, output.fps or fps, output.mark or mark)
        _check_extended(reading, output, size, frame.fit, fit_mark)
        _check_into(reading, output, frame, fit_mark)
        if audio is not None and not output.has_sound:
            reading.notes.append(f"{output.container} has no sound: audio is left out")
    timeline = Timeline(
        path=path,
        title=title or "",
        size=size,
        fps=fps,
        duration_seconds=reading.duration or Fraction(1),
        loop=loops[reading.choice(found.get("loop"), "loop", tuple(loops), "auto")],
        networks=networks,
        blend=blend,
        mapping=_mapping(reading, found.get("mapping"), networks, blend),
        latents=read_latents(reading, found.get("latents"), mark),
        truncation=read_bands(
            reading,
            found.get("truncation"),
            truncation,
            truncation.constant(DEFAULT_TRUNCATION, mark),
            unlisted=1.0,
        ),
        label=read_track(reading, found["label"], label, label.constant(0.0, mark))
        if "label" in found
        else None,
        noise=_noise(reading, found.get("noise")),
        frame=frame,
        audio=audio,
        clock=reading.clock,
        outputs=outputs,
        notes=tuple(reading.notes),
        document=root,
        variant=variant,
    )
    timeline = timeline if title is not None else replace(timeline, title=timeline.name)
    if is_silent and not isinstance(found.get("audio"), Broken):
        _check_silent(reading, timeline)
    if reading.duration is not None:
        _check_whole(reading, timeline, mark_of_length(found))
    return timeline


def _check_silent(reading: Reading, timeline: Timeline) -> None:
    """Note the expressions of a silent timeline that ask for its sound."""
    asked = (*tracks(timeline), *speeds(timeline))
    for expression in (each for track in asked for each in track.expressions()):
        if part := expression.hears:
            message = f"{part.name} is of the clip's sound, and this timeline has none"
            reading.note(expression.mark(part), message, "write audio: song.mp3")


def _check_whole(reading: Reading, timeline: Timeline, duration: Mark) -> None:
    """Note what only the whole timeline shows: too much to hold, and keys and seams amiss."""
    num_moving = sum(not track.is_constant for track in tracks(timeline))
    # Latents are held as four keys and four weights a frame.
    num_moving += 8 * sum(len(band.path.keys) > 1 for band in timeline.latents)
    rates = {output.fps or timeline.fps for output in timeline.outputs}
    num_frames = sum(timeline.clip(False).num_frames_at(rate) for rate in rates)
    if num_frames * num_moving > MOST_SAMPLES:
        most = MOST_SAMPLES // num_moving
        message = f"{num_frames} frames are too many for this many tracks that move"
        reading.note(duration, message, f"at most {most} frames, or fewer tracks with keys")
        return
    if common_rate([*rates]) * timeline.duration_seconds > LARGEST_NUMBER:
        told = " and ".join(str(rate) for rate in sorted(rates))
        message = f"{told} frames a second have no moments in common to speak of"
        reading.note(timeline.output.mark or duration, message, "render these outputs one by one")
    for mistake in certain_mistakes(timeline):
        reading.note(mistake.mark, mistake.message, mistake.hint)


def _networks(reading: Reading, node: Node | None, root: Mark) -> dict[str, NetworkRun]:
    """The networks by name, in the order of the file."""
    hint = "write networks: {faces: ffhq.pkl}"
    if node is None:
        reading.note(root, "networks is missing", hint)
        return {}
    if not isinstance(node, MapNode):
        if not isinstance(node, Broken):
            reading.note(node.mark, "networks is a map of names to files", hint)
        return {}
    if not node.entries:
        reading.note(node.mark, "networks has no names", hint)
    networks = {}
    for key, value in node.entries:
        name = key.text
        check_name(reading, key, "network")
        # kept all the same: whoever names it later should not hear that it is unknown
        networks[name] = NetworkRun(name, _patterns(reading, value, name), value.mark)
    return networks


def _patterns(reading: Reading, node: Node, name: str) -> tuple[str, ...]:
    """The files of a network, as written."""
    items = node.items if isinstance(node, ListNode) else (node,)
    if not items:
        reading.note(node.mark, f"{name[:40]} has no files")
    expected = "a file, a list of files or a glob"
    texts = [reading.words(item, name[:40], expected) for item in items]
    return tuple(text for text in texts if text is not None)


def _mapping(
    reading: Reading,
    node: Node | None,
    networks: Mapping[str, NetworkRun],
    blend: tuple[BlendLayer, ...],
) -> str:
    """The network whose mapping is used, by default the base."""

    def parser(text: str) -> str:
        if networks and text not in networks:
            hint = suggestion(text, networks) or f"the networks are {', '.join(networks)}"
            raise Misread(f"unknown network {quoted(text)}", hint[:200])
        return text

    name = reading.read(node, "mapping", "a network's name", parser)
    return name or (blend[0].network if blend else next(iter(networks), ""))


def _noise(reading: Reading, node: Node | None) -> Noise:
    """Fixed, none, random, or a circle."""
    if not isinstance(node, MapNode):
        mark = None if node is None else node.mark
        return Noise(reading.choice(node, "noise", NOISES, "fixed"), mark=mark)
    found = reading.options(node, "noise", ("loop",))
    if not node.entries:
        reading.note(node.mark, "noise has no loop", "write noise: {loop: 4s}")
    period = reading.read(
        found.get("loop"), "loop", "a length", lambda text: parse_length(text, reading.clock)
    )
    return Noise("fixed") if period is None else Noise("loop", period, node.mark)


def _check_extended(
    reading: Reading, output: Output, size: tuple[int, int] | None, fit: Fit, mark: Mark
) -> None:
    """Note an output for which networks would paint too far beyond the square.

    ``size`` and ``fit`` are the timeline's, the latter written at ``mark``.
    """
    size = output.size or size
    if (output.fit or fit) == "extend" and size and max(size) > MOST_EXTENDED * min(size):
        message = f"fit: extend reaches {MOST_EXTENDED}:1, but {size[0]}x{size[1]} is longer"
        most = MOST_EXTENDED * min(size)
        hint = f"choose sides of up to {most} pixels beside {min(size)}, or another fit"
        reading.note(output.mark or mark if output.fit else mark, message, hint)


def _frame(reading: Reading, node: Node | None, root: Mark) -> tuple[Frame, Mark]:
    """How the picture lies on the canvas, if an output has no other fit, and where that stands."""
    found: dict[str, Node] = {}
    if isinstance(node, MapNode):
        found = reading.options(node, "frame", FRAME_KEYS)
    elif node is not None and not isinstance(node, Broken):
        hint = f"write frame: {{zoom: 1.1}}; it has {', '.join(FRAME_KEYS)}"
        reading.note(node.mark, "frame is a map of keys", hint)
    fit: Fit = reading.choice(found.get("fit"), "fit", FITS, "blur")
    zoom = Quantity("zoom", "logarithm", low=0.001, high=1000)
    pan = Quantity("pan", low=-1000, high=1000)
    rotate = Quantity("rotate")
    track_x, track_y = read_tracks(reading, found.get("pan"), (pan, pan), pan.constant(0.0, root))
    frame = Frame(
        fit=fit,
        zoom=read_track(reading, found.get("zoom"), zoom, zoom.constant(1.0, root)),
        pan_x=track_x,
        pan_y=track_y,
        rotate=read_track(reading, found.get("rotate"), rotate, rotate.constant(0.0, root)),
        background=reading.read(found.get("background"), "background", "a colour", _parse_colour)
        or (0, 0, 0),
        into=_into(reading, found.get("into")),
    )
    return frame, found["fit"].mark if "fit" in found else root


def _into(reading: Reading, node: Node | None) -> Into | None:
    """The photo in which the picture lies, if it lies in one."""
    file = reading.read(node, "into", "a projected photo's .npz", _parse_projected)
    return Into(file, node.mark) if node is not None and file is not None else None


def _parse_projected(text: str) -> str:
    if not text.lower().endswith(".npz"):
        hint = "write into: me.npz, which animix project makes of me.jpg"
        raise Misread(f"{quoted(text)} is no projected photo", hint)
    return text


def _check_into(reading: Reading, output: Output, frame: Frame, mark: Mark) -> None:
    """Note an output that would pull a photo out of shape, or paint beyond a square in it."""
    fit = output.fit or frame.fit
    if frame.into is not None and fit in ("stretch", "extend"):
        hint = "choose cover, contain or blur"
        message = f"fit: {fit} does not go with into, which shows a whole photo"
        reading.note(output.mark or mark if output.fit else mark, message, hint)


def _parse_colour(text: str) -> tuple[int, int, int]:
    """A colour word or ``#102030`` as RGB, 0..255."""
    word = text.lower()
    if word not in ImageColor.colormap and not _COLOUR.fullmatch(text):
        hint = suggestion(word, ImageColor.colormap) or 'write a word or "#102030"'
        raise Misread(f"unknown colour {quoted(text)}", hint)
    red, green, blue = ImageColor.getrgb(word)[:3]
    return red, green, blue
