"""Output: what a timeline says about the film that is written, by itself and through a preset."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from animix.errors import Mark
from animix.tables import count
from animix.timeline.formats import (
    CODECS,
    CONTAINERS,
    GIF_RATES,
    PIXEL_FORMATS,
    Codec,
    CodecFacts,
    Container,
    PixelFormat,
    codecs_of,
)
from animix.timeline.framing import FITS, Fit
from animix.timeline.misread import Misread, quoted, suggestion
from animix.timeline.nodes import ListNode, MapNode, Node
from animix.timeline.presets import Preset, presets
from animix.timeline.reading import Reading

OUTPUT_KEYS = (
    *("preset", "file", "size", "fps", "fit"),
    *("codec", "encoder", "crf", "bitrate", "pixel-format"),
)
SLOWEST_FPS = Fraction(1, 10)
FASTEST_FPS = 1000
LARGEST_FPS_TERM = 1_001_000
"""Of the ratio that fps is: ``video.ffmpeg`` takes no larger one."""
LARGEST_SIDE = 16_384
MOST_OUTPUTS = 16
"""Of one timeline: each has an encoder of its own, and they run at the same time."""
BITRATES = range(10_000, 2_000_000_001)
"""Bits a second."""

_FPS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:/([0-9]{1,9}))?")
_SIZE = re.compile(r"([0-9]{1,6}) ?[x×] ?([0-9]{1,6})")
_BITRATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(k|kbps|M|Mbps)")


@dataclass(frozen=True)
class Output:
    """What a film is written as. None: as the timeline, or the codec, has it."""

    preset: Preset | None = None
    file: Path | None = None
    """An absolute path; of png a folder's. None: renders/ under the current folder."""
    codec: Codec = "h264"
    encoder: str | None = None
    """By ffmpeg's name; None: the one that runs everywhere."""
    pixel_format: PixelFormat = "yuv420p"
    size: tuple[int, int] | None = None
    """Width and height in pixels, both even."""
    fps: Fraction | None = None
    fit: Fit | None = None
    crf: int | None = None
    """The constant rate factor; None: ``bitrate`` rules, or the codec has none."""
    bitrate: int | None = None
    """Bits a second."""
    mark: Mark | None = None
    """Where it is written; None: nowhere."""

    def __post_init__(self) -> None:
        facts = CODECS[self.codec]
        if self.pixel_format not in facts.pixel_formats:
            raise ValueError(f"{self.codec} is not made from {self.pixel_format}")
        if self.encoder is not None and self.encoder not in facts.encoders:
            raise ValueError(f"{self.encoder} does not make {self.codec}")
        if self.crf is not None and self.bitrate is not None:
            raise ValueError("crf and bitrate: one of them rules")

    @property
    def container(self) -> Container:
        """What the codec goes into."""
        return CODECS[self.codec].container

    @property
    def is_draft(self) -> bool:
        """Whether a quick look is asked for."""
        return self.preset is not None and self.preset.is_draft

    @property
    def has_sound(self) -> bool:
        """Whether its container takes any."""
        return self.container not in ("gif", "png")

    @property
    def suffix(self) -> str:
        """The end of the file's name; a folder of pictures has none."""
        return "" if self.container == "png" else f".{self.container}"

    def canvas_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The timeline's size, or the picture's own, as the output has it.

        >>> gif = Output(preset=presets()["gif"], codec="gif", pixel_format="rgb24")
        >>> gif.canvas_size((1080, 1920))
        (540, 960)
        """
        if self.size is not None:
            return self.size
        widest = self.preset.widest if self.preset else None
        if widest is None or size[0] <= widest:
            return size
        height = round(Fraction(size[1] * widest, size[0] * 2)) * 2
        return widest, max(2, height)


def read_outputs(reading: Reading, node: Node | None, path: Path) -> tuple[Output, ...]:
    """The outputs of a timeline at ``path``, at least one: each a preset, a file, or a map."""
    if node is None:
        return (Output(crf=CODECS["h264"].crf),)
    nodes = node.items if isinstance(node, ListNode) else (node,)
    hint = "write output: [reels, reel.gif]"
    if not nodes:
        reading.note(node.mark, "output is an empty list", hint)
    if len(nodes) > MOST_OUTPUTS:
        message = f"{len(nodes)} outputs: expected up to {MOST_OUTPUTS}"
        reading.note(node.mark, message, "render the others with --set output=…")
    for item in nodes[:MOST_OUTPUTS]:
        if isinstance(item, ListNode):
            reading.note(item.mark, "an output is no list", hint)
    one = [item for item in nodes[:MOST_OUTPUTS] if not isinstance(item, ListNode)]
    return tuple(_read_one(reading, item, path) for item in one) or (Output(),)


def _read_one(reading: Reading, node: Node, path: Path) -> Output:
    if isinstance(node, MapNode):
        if not node.entries:
            reading.note(node.mark, "output has no preset and no file", "write output: reel.mp4")
        found = reading.options(node, "output", OUTPUT_KEYS)
    else:
        text = reading.text(node, "output", "a preset or a file")
        if text is None:
            return Output()
        # A file has an ending or a folder, presets none.
        found = {"file" if "." in text.text or "/" in text.text else "preset": text}
    return _output(reading, found, node, path)


def _output(reading: Reading, found: Mapping[str, Node], node: Node, path: Path) -> Output:
    chosen = reading.read(found.get("preset"), "preset", "a preset or a file", _parse_preset)
    file, container = _read_file(reading, found, chosen, path)
    codec = _read_codec(reading, found, chosen, container)
    facts = CODECS[codec]
    encoder = None
    if "encoder" in found:
        encoder = reading.read(
            found["encoder"],
            "encoder",
            "an encoder of ffmpeg",
            lambda text: _one_of(text, facts.encoders, f"encoder of {codec}"),
        )
    pixel_format = reading.read(
        found.get("pixel-format"),
        "pixel-format",
        "a pixel format",
        lambda text: _parse_pixel_format(text, codec, facts),
    )
    bitrate = reading.read(
        found.get("bitrate"),
        "bitrate",
        "a bitrate such as 8M",
        lambda t: _parse_bitrate(t, codec, facts),
    )
    crf = reading.read(found.get("crf"), "crf", "a number", lambda t: _parse_crf(t, codec, facts))
    if "crf" in found and "bitrate" in found:
        message = "crf and bitrate both say how large the film gets"
        reading.note(found["bitrate"].mark, message, "keep one of them: crf keeps the quality even")
        bitrate = None
    if crf == 0 and codec == "h264" and chosen is not None and chosen.gop_seconds is not None:
        message = f"crf 0 is lossless, which {chosen.platform} does not take: it is no High profile"
        reading.note(found["crf"].mark, message, "write crf: 1 or more")
    if crf is None and bitrate is None:
        crf = facts.crf if chosen is None or chosen.codec != codec else chosen.crf or facts.crf
    size = read_size(reading, found.get("size"))
    fps = reading.read(found.get("fps"), "fps", "a number", parse_fps)
    fit: Fit | None = None
    if "fit" in found:
        fit = reading.choice(found["fit"], "fit", FITS, "blur")
    return Output(
        preset=chosen,
        file=file,
        codec=codec,
        encoder=encoder,
        pixel_format=pixel_format or facts.pixel_formats[0],
        size=size or (chosen.size if chosen else None),
        fps=fps or (chosen.fps if chosen else None),
        fit=fit,
        crf=crf,
        bitrate=bitrate,
        mark=found.get("preset", node).mark,
    )


def check_rate(reading: Reading, output: Output, fps: Fraction, mark: Mark) -> None:
    """Note a rate at which a GIF can't show its frames."""
    if output.container == "gif" and fps not in GIF_RATES:
        exact = f"{', '.join(map(str, GIF_RATES[:-1]))} or {GIF_RATES[-1]}"
        message = f"a GIF can't show {float(fps):.4g} frames a second: it counts hundredths"
        reading.note(mark, message, f"write fps: {exact}, which are exact")


def override_notes(output: Output, size: tuple[int, int] | None, fps: Fraction | None) -> list[str]:
    """Says where a preset has another size or rate than the timeline, None if not written."""
    if output.preset is None:
        return []
    name = output.preset.name
    notes = []
    if size is not None and output.size not in (None, size) and output.size == output.preset.size:
        (width, height), (preset_width, preset_height) = size, output.preset.size
        notes.append(
            f"{name} is {preset_width}x{preset_height}, not {width}x{height};"
            f" output: {{preset: {name}, size: {width}x{height}}} keeps that"
        )
    if fps is not None and output.fps not in (None, fps) and output.fps == output.preset.fps:
        notes.append(
            f"{name} has {float(output.fps):g} fps, not {float(fps):.6g};"
            f" output: {{preset: {name}, fps: {fps}}} keeps them"
        )
    return notes


def parse_fps(text: str) -> Fraction:
    """Frames per second, exactly as written: 30, 29.97, 30000/1001."""
    match = _FPS.fullmatch(text)
    hint = "write fps: 30, 29.97 or 30000/1001"
    if match is None:
        raise Misread(f"{quoted(text)} is no number of frames per second", hint)
    divisor = int(match[2] or 1)
    fps = Fraction(match[1]) / divisor if divisor else Fraction(0)
    if not SLOWEST_FPS <= fps <= FASTEST_FPS:
        message = (
            f"{quoted(text)} frames per second: expected {float(SLOWEST_FPS)} to {FASTEST_FPS}"
        )
        raise Misread(message, hint)
    if max(fps.numerator, fps.denominator) > LARGEST_FPS_TERM:
        message = f"{quoted(text)} frames per second is {fps}"
        raise Misread(f"{message}: expected a ratio of numbers up to {LARGEST_FPS_TERM}", hint)
    return fps


def read_size(reading: Reading, node: Node | None) -> tuple[int, int] | None:
    """Width and height, even."""

    def parser(text: str) -> tuple[int, int]:
        match = _SIZE.fullmatch(text)
        if match is None:
            raise Misread(f"{quoted(text)} is no size", "write WIDTHxHEIGHT, such as 1080x1920")
        width, height = int(match[1]), int(match[2])
        for side in (width, height):
            if not 16 <= side <= LARGEST_SIDE:
                told = count(side, "pixel")
                raise Misread(f"a side of {told}: expected 16 to {LARGEST_SIDE}")
        return width, height

    size = reading.read(node, "size", "WIDTHxHEIGHT", parser)
    if size is None:
        return None
    even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    if even != size:
        said = f"size {size[0]}x{size[1]} is rounded up to {even[0]}x{even[1]}"
        reading.notes.append(f"{said}: video needs even sides")
    return even


def _one_of(text: str, words: tuple[str, ...], name: str) -> str:
    if text in words:
        return text
    hint = suggestion(text, words) or f"expected {', '.join(words)}"
    raise Misread(f"unknown {name} {quoted(text)}", hint)


def _parse_preset(text: str) -> Preset:
    known = presets()
    if text in known:
        return known[text]
    hint = suggestion(text, known)
    if not hint:
        hint = f"the presets are {', '.join(known)}; a file needs its ending, such as reel.mp4"
    raise Misread(f"unknown output preset {quoted(text)}", hint)


def _read_file(
    reading: Reading, found: Mapping[str, Node], chosen: Preset | None, path: Path
) -> tuple[Path | None, Container | None]:
    """The file, and the container that its name ends in."""
    text = reading.words(found.get("file"), "file", "a file's name")
    if text is None:
        return None, None
    file = path.absolute().parent / text
    mark = found["file"].mark
    wanted = None if chosen is None else chosen.facts.container
    if wanted == "png":
        if file.suffix.lower()[1:] in CONTAINERS:
            message = f"png writes a folder of pictures, {quoted(text)} is a file's name"
            reading.note(mark, message, f"write file: {Path(text).stem}")
        return file, "png"
    ending = file.suffix.lower()
    container = next((name for name in CONTAINERS if ending == f".{name}"), None)
    if container == "png":
        hint = f"write output: {{preset: png, file: {Path(text).stem}}}"
        reading.note(mark, "pictures go to a folder, which has no ending", hint)
        return file, None
    if container is None:
        ends = [f".{name}" for name in CONTAINERS if name != "png"]
        hint = suggestion(ending, ends) or f"expected a name that ends in {', '.join(ends)}"
        reading.note(mark, f"{quoted(text)} names no kind of film", hint)
        return file, None
    # The codec has a say in it, so it is compared with what is meant once that is known.
    return file, container


def _read_codec(
    reading: Reading,
    found: Mapping[str, Node],
    chosen: Preset | None,
    container: Container | None,
) -> Codec:
    """The codec: as written, of the preset, or what the file's container usually has."""
    default: Codec = chosen.codec if chosen else codecs_of(container or "mp4")[0]
    codec = default
    if "codec" in found:
        codec = reading.choice(found["codec"], "codec", tuple(CODECS), default)
    made = CODECS[codec].container
    if "codec" in found and chosen is not None and made != chosen.facts.container:
        fitting = ", ".join(codecs_of(chosen.facts.container))
        message = f"{chosen.name} is written as {chosen.facts.container}, {codec} goes into {made}"
        reading.note(found["codec"].mark, message, f"choose of {fitting}, or another preset")
    elif container is not None and made != container:
        who = codec if "codec" in found or chosen is None else f"the preset {chosen.name}"
        message = f"{who} goes into {made}, the file's name ends in .{container}"
        reading.note(found["file"].mark, message, f"let it end in .{made}")
    return codec


def _parse_pixel_format(text: str, codec: Codec, facts: CodecFacts) -> PixelFormat:
    for pixel_format in PIXEL_FORMATS:
        if text == pixel_format:
            if pixel_format in facts.pixel_formats:
                return pixel_format
            made_from = " or ".join(facts.pixel_formats)
            raise Misread(f"{codec} is not made from {text}", f"expected {made_from}")
    hint = suggestion(text, PIXEL_FORMATS) or f"expected {', '.join(PIXEL_FORMATS)}"
    raise Misread(f"unknown pixel format {quoted(text)}", hint)


def _parse_crf(text: str, codec: Codec, facts: CodecFacts) -> int:
    if facts.crf is None:
        raise Misread(f"{codec} has no crf: its quality is fixed", "leave crf out")
    if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) > facts.worst_crf:
        message = f"crf is {quoted(text)}: expected a whole number from 0 to {facts.worst_crf}"
        raise Misread(message, f"{facts.crf} is near perfect, larger numbers make smaller files")
    return int(text)


def _parse_bitrate(text: str, codec: Codec, facts: CodecFacts) -> int:
    if facts.crf is None:
        raise Misread(f"{codec} has no bitrate: its quality is fixed", "leave bitrate out")
    match = _BITRATE.fullmatch(text)
    if match is None:
        hint = "write 8M (megabits a second) or 800k: 10k to 2000M"
        raise Misread(f"{quoted(text)} is no bitrate", hint)
    bits = int(Fraction(match[1]) * (1000 if match[2].startswith("k") else 1_000_000))
    if bits not in BITRATES:
        raise Misread(f"a bitrate of {quoted(text)}: expected 10k to 2000M")
    return bits
