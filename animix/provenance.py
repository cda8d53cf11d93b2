"""Provenance: what a finished film or still says of how it was made, its recipe above all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from animix.chunks import latent_files
from animix.engine.precision import choose_precision
from animix.errors import Mark
from animix.film import Film
from animix.timeline.audio import AUTO, TEMPO_KEYS
from animix.timeline.clock import Clock
from animix.timeline.document import MOST_CHARACTERS
from animix.timeline.files import with_into
from animix.timeline.latent_path import renamed
from animix.timeline.nodes import ListNode, MapNode, Node, TextNode, with_texts
from animix.timeline.output import Output
from animix.timeline.reader import DEFAULT_TRUNCATION
from animix.timeline.timeline import Timeline
from animix.timeline.variables import escaped
from animix.timeline.vocabulary import KEYS
from animix.timeline.yaml_text import quoted_text, yaml_text
from animix.version import VERSION
from animix.video.metadata import SIGN, Metadata
from animix.whole_file import digest_of

TOOL = f"animix {VERSION}"

DIGEST_DIGITS = 32
"""Of a file's SHA-256: enough to tell it from any other."""


def metadata_of(film: Film, digests: Mapping[Path, str], command: str = "render") -> Metadata:
    """What a film, or a still of it, says of itself.

    ``digests`` has the SHA-256 of files in ``parts_of(film)``; ``command`` is what made it, with
    the options that the timeline doesn't tell: ``render --draft``.
    """
    return Metadata(recipe_of(film, digests, command), TOOL)


def parts_of(film: Film) -> list[Path]:
    """The files whose content decides what is seen and heard, in the timeline's order."""
    sound = [film.soundtrack.path] if film.soundtrack else []
    latents = latent_files(film.timeline).values()
    return list(dict.fromkeys([*film.engine.shelf.files, *film.home_files, *latents, *sound]))


def render_command(film: Film, frames: range, *, draft: bool = False) -> str:
    """What renders these frames of a film again, beside what the timeline says."""
    words = ["render"]
    if frames != range(film.schedule.num_frames):
        words.append(f"--frames {frames.start}..{frames.stop - 1}")
    if draft:
        words.append("--draft")
    return " ".join([*words, *_precision(film)])


def _precision(film: Film) -> list[str]:
    """The option for a precision that the device wouldn't choose by itself."""
    precision = film.engine.plan.dtype if film.engine.plan else None
    if precision in (None, choose_precision(film.engine.device)):
        return []
    return [f"--precision {str(precision).removeprefix('torch.')}"]


def still_metadata(film: Film, index: int) -> Metadata:
    """What a still says of itself; of a long run only the snapshots that it shows are read."""
    columns = np.flatnonzero((film.schedule.mix(index) != 0).any(axis=0))
    shown = [film.engine.shelf.files[column] for column in columns]
    latents = latent_files(film.timeline).values()
    digests = {path: digest_of(path) for path in {*shown, *film.home_files, *latents}}
    command = " ".join(["still", f"--at {index}f", *_precision(film)])
    return metadata_of(film, digests, command)


def recipe_of(film: Film, digests: Mapping[Path, str], command: str = "render") -> str:
    """The timeline as it was rendered, with all that its defaults and the networks decided.

    Files stand there by their names, without folders; two of one name, but not of one content, get
    numbers. A head of comments says by which version it was rendered, how, and what the files were.
    """
    parts = parts_of(film)
    names = _distinct_names(parts, digests)
    files = {
        names[path]: digests[path][:DIGEST_DIGITS]
        for path in parts
        if digests.get(path) is not None
    }
    head = [
        f"{SIGN}{VERSION} {command}",
        *(f"# sha256 {digest} {quoted_text(name)}" for name, digest in files.items()),
    ]
    text = yaml_text(literal(_resolved(film, names)))
    if len(text) > MOST_CHARACTERS:
        text = f"# The timeline is left out: it has {len(text)} characters.\n"
    return "\n".join([*head, text])


def _resolved(film: Film, names: Mapping[Path, str]) -> MapNode:
    """The document with every default written out that the picture follows from."""
    timeline = film.timeline
    written = {key.text: value for key, value in timeline.document.entries}
    told: dict[str, Node] = {
        "title": _text(timeline.title),
        "size": _text("{}x{}".format(*_whole_size(film))),
        "loop": _text("true" if film.schedule.clip.loop else "false"),
        # Told by its digits: it may be that of the sound, which is no longer there by then.
        **({} if "duration" in written else {"duration": _text(_seconds(timeline))}),
        "networks": _networks(film, names),
        "mapping": _text(timeline.mapping),
    }
    defaults: dict[str, Node] = {
        # Not written, another one is that of all outputs, and stays so; 30 may be of many.
        **({"fps": _text("30")} if timeline.fps == 30 else {}),
        "blend": _list(_text(layer.network) for layer in timeline.blend),
        "latents": _list([_text("0")]),
        "truncation": _text(f"{DEFAULT_TRUNCATION:g}"),
        "noise": _text("fixed"),
    }
    found = {**defaults, **written, **told}
    latents = {source: names[path] for source, path in latent_files(timeline).items()}
    found["latents"] = with_texts(found["latents"], lambda text: renamed(text, latents))
    if "frame" in found:
        found["frame"] = with_into(
            found["frame"], lambda node: replace(node, text=latents.get(node.text, node.text))
        )
    audio = _with_tempo(written.get("audio"), timeline.clock)
    if film.soundtrack is not None and audio is not None:
        sound = names[film.soundtrack.path]
        found["audio"] = with_audio_file(audio, lambda _: sound)
    else:
        found.pop("audio", None)
        found |= _tempo(audio)
    found["output"] = _output(film.output)
    return _map({key: found[key] for key in KEYS if key in found})


def _seconds(timeline: Timeline) -> str:
    """The length of a clip whose timeline doesn't say it."""
    return f"{float(timeline.duration_seconds):.9f}s"


def _output(output: Output) -> MapNode:
    """What this film of a timeline is written as, without where."""
    told = {
        "preset": output.preset and output.preset.name,
        "size": output.size and "{}x{}".format(*output.size),
        "fps": output.fps,
        "fit": output.fit,
        "codec": output.codec,
        "encoder": output.encoder,
        "crf": output.crf,
        "bitrate": output.bitrate and f"{output.bitrate / 1000:.9g}k",
        "pixel-format": output.pixel_format,
    }
    return _map({key: _text(str(value)) for key, value in told.items() if value is not None})


def _whole_size(film: Film) -> tuple[int, int]:
    """Width and height of the canvas where it is no draft's."""
    side, scene = film.schedule.facts.img_resolution, film.view.scene
    return film.timeline.size or (scene.canvas_size if scene else (side, side))


def _networks(film: Film, names: Mapping[Path, str]) -> MapNode:
    """The networks that take part, each with the files that it was found in."""
    runs: dict[str, list[Path]] = {}
    for column, file in zip(film.schedule.columns, film.engine.shelf.files, strict=True):
        runs.setdefault(column.network, []).append(file)
    runs.setdefault(film.timeline.mapping, [film.home_files[1]])
    entries: dict[str, Node] = {}
    for name in (name for name in film.timeline.networks if name in runs):
        files = [_text(names[file]) for file in runs[name]]
        entries[name] = _list(files) if len(files) > 1 else files[0]
    return _map(entries)


def _distinct_names(files: Iterable[Path], digests: Mapping[Path, str]) -> dict[Path, str]:
    """The name of each file: another one where there are two of a name that differ."""
    contents: dict[str, str] = {}
    names = {}
    for path in files:
        content, name, number = digests.get(path, str(path)), path.name, 2
        while contents.setdefault(name, content) != content:
            name, number = f"{path.stem} ({number}){path.suffix}", number + 1
        names[path] = name
    return names


def literal(document: MapNode) -> MapNode:
    """A document in which nothing is read as a variable: what stands there, stands for itself."""
    told = with_texts(document, escaped)
    assert isinstance(told, MapNode)
    return told


def without_target(document: MapNode) -> MapNode:
    """A timeline's document without the file that its film goes to: whoever renders it says that.

    What else it says of its output stays.
    """
    entries: list[tuple[TextNode, Node]] = []
    for key, value in document.entries:
        if key.text == "output" and isinstance(value, MapNode):
            options = tuple(entry for entry in value.entries if entry[0].text != "file")
            if options:
                entries.append((key, replace(value, entries=options)))
        elif key.text != "output" or _is_word(value):
            entries.append((key, value))
    return replace(document, entries=tuple(entries))


def _is_word(output: Node) -> bool:
    """Whether an output is no file, which has an ending or stands in a folder."""
    return isinstance(output, TextNode) and not set("./\\") & set(output.text)


def with_audio_file(audio: Node, change: Callable[[str], str]) -> Node:
    """What a timeline says of its sound, with its file changed."""
    if not isinstance(audio, MapNode):
        return with_texts(audio, change)
    entries = (
        (key, with_texts(value, change) if key.text == "file" else value)
        for key, value in audio.entries
    )
    return replace(audio, entries=tuple(entries))


def _with_tempo(audio: Node | None, clock: Clock) -> Node | None:
    """What a timeline says of its sound, with the tempo that was found in it."""
    if not isinstance(audio, MapNode):
        return audio
    told = {key.text: value for key, value in audio.entries}
    bpm = told.get("bpm")
    if not (isinstance(bpm, TextNode) and bpm.text == AUTO and clock.bpm is not None):
        return audio
    told["bpm"] = _text(f"{float(clock.bpm):.9g}")
    told["first-beat"] = _text(f"{float(clock.first_beat_seconds):.4f}s")
    return _map(told)


def _tempo(audio: Node | None) -> dict[str, Node]:
    """What is left of a sound that isn't heard: under ``audio`` the tempo by which keys stand."""
    entries = audio.entries if isinstance(audio, MapNode) else ()
    kept = tuple((key, value) for key, value in entries if key.text in TEMPO_KEYS)
    return {"audio": MapNode(kept, _NOWHERE)} if kept else {}


_NOWHERE = Mark("", 0, 0)


def _text(text: str) -> TextNode:
    node = TextNode(text, _NOWHERE)
    return replace(node, plain=not node.is_empty)


def _list(items: Iterable[Node]) -> ListNode:
    return ListNode(tuple(items), _NOWHERE)


def _map(entries: Mapping[str, Node]) -> MapNode:
    return MapNode(tuple((_text(key), value) for key, value in entries.items()), _NOWHERE)
