"""A trial of an encoder: ffmpeg lists those of hardware that isn't there."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache

from animix.errors import EncodeError, OptionError
from animix.ffmpeg.program import FFMPEG_ADVICE, find_ffmpeg
from animix.timeline.formats import CODECS
from animix.video.settings import EncoderSettings, encoding, raw_input

TRIAL_SECONDS = 30
LONGEST_WORDS = 200

_REASONS = (
    (r"Unknown encoder", "this ffmpeg has none of this name"),
    (r"Cannot load lib(?:cuda|nvcuvid|nvidia-encode)", "there is no driver of NVIDIA's here"),
    (r"No capable devices found|OpenEncodeSessionEx failed", "no GPU here can encode this"),
    (r"no VA display|Failed to initialise VAAPI", "there is no device for it here"),
)
"""What ffmpeg says, and what that means."""
_SPEAKER = re.compile(r"^(?:\[[^\]]*\] )*")


@lru_cache(maxsize=16)
def check_encoder(settings: EncoderSettings) -> None:
    """Encode one black frame; OptionError with the reason if that does not work here."""
    executable = find_ffmpeg()
    try:
        told = subprocess.run(
            [
                *(executable, "-hide_banner", "-loglevel", "error"),
                *raw_input(settings),
                *encoding(settings),
                *("-frames:v", "1", "-f", "null", "-"),
            ],
            input=bytes(settings.frame_bytes),
            capture_output=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise OptionError(f"{settings.made_by} hasn't made a frame in {TRIAL_SECONDS} s") from exc
    except OSError as exc:
        raise EncodeError(
            f"{executable}: ffmpeg could not be started: {exc.strerror}; {FFMPEG_ADVICE}"
        ) from exc
    if told.returncode == 0:
        return
    usual = CODECS[settings.codec].encoders[0]
    advice = f"without encoder: it is {usual} that makes {settings.codec}"
    if settings.made_by == usual:
        advice = "choose another codec, or set IMAGEIO_FFMPEG_EXE to the path of another ffmpeg"
    reason = reason_in(told.stderr.decode(errors="replace"))
    raise OptionError(f"{settings.made_by} does not work here: {reason}; {advice}")


def reason_in(words: str) -> str:
    """Why an encoder failed, by what ffmpeg said: what comes after the first line follows from it.

    >>> reason_in("[h264_nvenc @ 0x5653] Cannot load libcuda.so.1\\nConversion failed!")
    "there is no driver of NVIDIA's here (ffmpeg: Cannot load libcuda.so.1)"
    >>> reason_in("[enc:prores_ks @ 0x1] no such profile")
    'ffmpeg says no such profile'
    """
    lines = [_SPEAKER.sub("", line).strip() for line in words.splitlines()]
    said = [line[:LONGEST_WORDS] for line in lines if line]
    for pattern, reason in _REASONS:
        for line in said:
            if re.search(pattern, line):
                return f"{reason} (ffmpeg: {line})"
    return f"ffmpeg says {said[0]}" if said else "ffmpeg says nothing of it"
