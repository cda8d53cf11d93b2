"""Frames from a file: what was kept without loss comes back as it was."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from animix.errors import EncodeError
from animix.ffmpeg.program import END_SECONDS
from animix.video.ffmpeg import LAST_WORDS_BYTES, start_ffmpeg, widen
from animix.video.settings import RAW_FORMATS, EncoderSettings

BATCH_BYTES = 8 << 20


class Decoder:
    """The frames of a lossless segment, decoded by an ffmpeg, which may be given up at any time."""

    def __init__(
        self, path: Path, settings: EncoderSettings, *, executable: str | None = None
    ) -> None:
        self._path = path
        self._frame_bytes = settings.frame_bytes
        self._last_words = b""
        self._process = start_ffmpeg(
            [
                *("-nostdin", "-hide_banner", "-loglevel", "error", "-i", f"file:{path}"),
                *("-map", "0:v:0", "-fps_mode", "passthrough"),
                *("-f", "rawvideo", "-pix_fmt", RAW_FORMATS[settings.pixel_format], "pipe:1"),
            ],
            executable,
            stdout=subprocess.PIPE,
        )
        widen(self._process.stdout)
        self._listener = threading.Thread(target=self._listen, name="ffmpeg stderr", daemon=True)
        self._listener.start()

    def batches(self) -> Iterator[NDArray[np.uint8]]:
        """All frames, some at a time: [N, bytes]; EncodeError where not all of them can be read."""
        pipe = cast(RawIOBase, self._process.stdout)  # it is one without a buffer
        num_bytes = max(1, BATCH_BYTES // self._frame_bytes) * self._frame_bytes
        with pipe as stdout:
            while True:
                batch = np.empty(num_bytes, np.uint8)
                filled = 0
                while filled < num_bytes and (got := stdout.readinto(batch.data[filled:])):
                    filled += got
                num_frames, rest = divmod(filled, self._frame_bytes)
                if num_frames and not rest:
                    yield batch[:filled].reshape(num_frames, self._frame_bytes)
                if filled < num_bytes:
                    break
        code = self._process.wait()
        if code or rest:
            self._listener.join(END_SECONDS)
            words = self._last_words.decode(errors="replace").strip() or "(it said nothing)"
            ending = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
            raise EncodeError(
                f"{self._path}: ffmpeg could not read this finished chunk ({ending}); render again,"
                f" and if it is damaged it is made anew:\n{words}"
            )

    def abort(self) -> None:
        """Ends ffmpeg."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._listener.join(END_SECONDS)

    def _listen(self) -> None:
        """The thread that hears ffmpeg out: unread, its words would fill their pipe and stop it."""
        assert self._process.stderr is not None
        with self._process.stderr as stderr:
            while words := stderr.read(LAST_WORDS_BYTES):
                self._last_words = (self._last_words + words)[-LAST_WORDS_BYTES:]
