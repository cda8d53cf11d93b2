"""Metadata: what a finished film or picture says of how it was made, in each container's own way.

The recipe is a text, where players and viewers show a comment. Beside it stands a packet of XMP
(ISO 16684-1) that marks the pictures as made by a trained network, in the words of the IPTC.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.sax.saxutils import quoteattr

from animix.errors import EncodeError, OptionError
from animix.video import gif_metadata, mp4_metadata, png_metadata, webm_metadata

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""Of the IPTC's NewsCodes: media that a model made which learnt from others."""

SIGN = "# animix "
"""How a recipe begins; other comments are not taken for one."""

HEAD_BYTES = 16

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    Iptc4xmpExt:DigitalSourceType={source_type}
    xmp:CreatorTool={tool}/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass(frozen=True)
class Metadata:
    """What a finished file says of itself."""

    recipe: str
    """The timeline that renders it again, as YAML."""
    tool: str
    """What made it, such as ``animix 0.1.0``."""

    @property
    def xmp(self) -> bytes:
        """The packet, in UTF-8."""
        return _XMP.format(source_type=quoteattr(SOURCE_TYPE), tool=quoteattr(self.tool)).encode()


@dataclass(frozen=True)
class Container:
    """Where a kind of file has its metadata; ValueError for a file that isn't of that kind."""

    write: Callable[[BinaryIO, str, bytes], None]
    """Puts a comment and a packet of XMP into a finished file, which keeps its pictures."""
    comments: Callable[[BinaryIO], Iterator[str]]
    """Its comments; of a file of any size and content it reads a little only."""
    is_one: Callable[[bytes], bool]
    """Whether a file begins like one."""


_MP4 = Container(mp4_metadata.write, mp4_metadata.comments, lambda head: head[4:8] == b"ftyp")
CONTAINERS = {
    "mp4": _MP4,
    "mov": _MP4,
    "webm": Container(
        webm_metadata.write,
        webm_metadata.comments,
        lambda head: head.startswith(webm_metadata.EBML),
    ),
    "gif": Container(
        gif_metadata.write, gif_metadata.comments, lambda head: head.startswith(b"GIF8")
    ),
    "png": Container(
        png_metadata.write,
        png_metadata.comments,
        lambda head: head.startswith(png_metadata.SIGNATURE),
    ),
}
"""By the ending of a file's name."""


def write_metadata(path: Path, container: str, metadata: Metadata | None) -> None:
    """Put metadata, if there are any, into a finished file before it takes its place.

    The same metadata make the same bytes. EncodeError for a file that isn't of that container,
    OSError for one that can't be written.
    """
    if metadata is None:
        return
    try:
        with path.open("r+b") as file:
            CONTAINERS[container].write(file, metadata.recipe, metadata.xmp)
    except ValueError as exc:
        raise EncodeError(f"{path}: no metadata can be put into it, it {exc}") from exc


def read_recipe(path: Path) -> str:
    """The recipe in a file, as untrusted a text as the file; OptionError where there is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OptionError(f"{path}: is no file, expected a film or a picture of animix's")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            kind = next((one for one in CONTAINERS.values() if one.is_one(head)), None)
            if kind is None:
                raise OptionError(
                    f"{path}: is none of {', '.join(CONTAINERS)}, which carry recipes, by its "
                    "first bytes"
                )
            file.seek(0)
            recipe = next((text for text in kind.comments(file) if text.startswith(SIGN)), None)
    except OSError as exc:
        raise OptionError(f"{path}: can't be read: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise OptionError(f"{path}: is damaged, its metadata can't be read: {exc}") from exc
    if recipe is None:
        raise OptionError(
            f'{path}: has no recipe: no comment in its metadata begins with "{SIGN.strip()}". '
            "It is not by animix, was rendered with --no-recipe, or a program or platform that it "
            "went through has left it out"
        )
    return recipe
