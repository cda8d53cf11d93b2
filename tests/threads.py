"""The threads that are at work, by the names that the package gives them."""

from __future__ import annotations

import threading

ENCODING = ("ffmpeg", "segments")
"""Those that feed and hear ffmpeg, and join its segments."""


def threads_named(*names: str) -> set[threading.Thread]:
    """Those whose names begin so. A count of all would count idle ones of other tests' engines.

    >>> threads_named("Main")
    {<_MainThread(MainThread, started ...)>}
    """
    return {thread for thread in threading.enumerate() if thread.name.startswith(names)}
