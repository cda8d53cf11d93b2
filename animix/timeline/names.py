"""Names that a timeline gives: to networks, markers and sections."""

from __future__ import annotations

import re

from animix.timeline.misread import quoted
from animix.timeline.nodes import TextNode
from animix.timeline.reading import Reading
from animix.timeline.vocabulary import RESERVED

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def check_name(reading: Reading, key: TextNode, kind: str) -> None:
    """Note a name that can't be one; ``kind`` is what it names, such as ``network``."""
    name = key.text
    if not _NAME.fullmatch(name):
        message = f"{quoted(name)} can't name a {kind}"
        reading.note(
            key.mark,
            message,
            "a name is a letter from a to z or A to Z, then letters, digits and _",
        )
    elif name in RESERVED:
        message = f"{quoted(name)} can't name a {kind}: it is a word of this language"
        reading.note(key.mark, message, f"choose another, such as {name}_1")
