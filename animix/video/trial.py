"""A trial of an encoder: ffmpeg lists those of hardware that isn't there."""

from __future__ import annotations

import subprocess
from functools import lru_cache

from animix.errors import EncodeError, OptionError
from animix.ffmpeg.program import FFMPEG_ADVICE, find_ffmpeg
from animix.timeline.formats import CODECS
from animix.video.settings import EncoderSettings, encoding, raw_input

TRIAL_SECONDS = 30
MOST_WORDS = 600


@lru_cache(maxsize=16)
def check_encoder(settings: EncoderSettings) -> None:
    """Encode one black frame; OptionError with ffmpeg's words if that does not work here."""
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
    words = told.stderr.decode(errors="replace").strip()[:MOST_WORDS] or "(it said nothing)"
    raise OptionError(f"{settings.made_by} does not work here; {advice}. ffmpeg said:\n{words}")
