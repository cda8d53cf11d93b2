"""The soundtrack of a clip: which samples of a sound are heard when, and how loud."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from animix.errors import EncodeError, Mistake, SoundError, TimelineError
from animix.sound.decoding import check_sound, inputs_of, refusal, run_ffmpeg
from animix.timeline.audio import Audio
from animix.timeline.keyframes import Clip

SAMPLE_RATE = 48_000
"""Of every soundtrack, samples a second."""

LOUDEST_PEAK_DB = -1.0
"""True peak, relative to full scale, that a gain may bring a sound to (EBU R128 s. 1)."""
SILENT_LUFS = -70.0
"""The absolute gate: what is below it counts as silence."""

_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d\.\d+)")
_CHANNELS = re.compile(r"^ *Stream #0:\d.*: Audio: .*\d Hz, ([^,\n]*)", re.MULTILINE)
_LOUDNESS = re.compile(r"\bI: +(-?[\d.]+|-?inf|-?nan) LUFS")
_PEAK = re.compile(r"\bPeak: +(-?[\d.]+|-?inf|-?nan) dBFS")


@dataclass(frozen=True)
class Soundtrack:
    """What is heard in a clip. Places and lengths are in samples, 48 000 a second."""

    path: Path
    is_mono: bool
    first: int
    """The first sample of the sound that is used."""
    used: int
    """Samples of the sound that are used, one after the other."""
    start: int
    """Where in the clip it begins."""
    heard: int
    """For how long it is heard, in a loop more than is used."""
    clip: int
    """The length of the clip."""
    loop: bool = False
    fade_in: int = 0
    fade_out: int = 0
    gain_db: float = 0.0
    seconds: float | None = None
    """The length of the whole sound, as its file states it where more is there than is used."""
    notes: tuple[str, ...] = field(default=())
    """What the user should know."""

    def __post_init__(self) -> None:
        if not (0 <= self.start < self.start + self.heard <= self.clip and self.used > 0):
            raise SoundError(f"{self.path}: nothing of it is heard in the clip")

    @property
    def inputs(self) -> list[str]:
        """ffmpeg's arguments that open the sound, and nothing that it may name in turn."""
        return inputs_of(self.path)

    def filters(self, samples: range) -> str:
        """ffmpeg's filters from the sound to a part of the clip's, exactly as long as asked.

        Every step counts samples, so nothing is rounded twice.
        """
        restart = "asetpts=N/SR/TB"
        # A loop begins again where the last sample ended, so it is made of samples, not of a file.
        loop = [f"aloop=loop=-1:size={self.used}", restart] if self.loop else []
        # By default ffmpeg makes mono 3 dB softer.
        channels = "pan=stereo|c0=c0|c1=c0" if self.is_mono else "aformat=channel_layouts=stereo"
        fades = [
            f"afade=t=in:ss=0:ns={self.fade_in}" if self.fade_in else "",
            f"afade=t=out:ss={self.heard - self.fade_out}:ns={self.fade_out}"
            if self.fade_out
            else "",
        ]
        steps = [
            f"aresample={SAMPLE_RATE}",
            "aformat=sample_fmts=fltp",
            channels,
            f"atrim=start_sample={self.first}:end_sample={self.first + self.used}",
            restart,
            *loop,
            f"atrim=end_sample={self.heard}",
            *fades,
            f"volume={self.gain_db:.2f}dB" if self.gain_db else "",
            f"adelay={self.start}S:all=1" if self.start else "",
            "apad",
            f"atrim=start_sample={samples.start}:end_sample={samples.stop}",
            restart,
        ]
        return ",".join(filter(None, steps))

    def samples(self, frames: range, fps: Fraction) -> range:
        """The part of the clip that belongs to frames; never longer than they are."""
        start = int(frames.start / fps * SAMPLE_RATE)
        return range(start, start + int(len(frames) / fps * SAMPLE_RATE))

    def told(self) -> str:
        """What is heard of it, in words."""
        start, first = _clock(self.start), _clock(self.first)
        told = f"heard from {start} to {_clock(self.start + self.heard)}"
        if self.first:
            told += f", from its {first} on"
        if self.used < self.heard:
            told += f", {_clock(self.used)} over and over"
        if self.seconds is not None:
            told = f"{self.seconds:.2f} s long, {told}"
        if self.gain_db:
            told += f", {self.gain_db:+.1f} dB"
        return f"{self.path.name}: {told}"


def open_soundtrack(audio: Audio | None, clip: Clip) -> Soundtrack | None:
    """The soundtrack of a clip, None where it has none.

    Raises TimelineError where the sound can't be read or nothing of it is heard; EncodeError where
    there is no ffmpeg.
    """
    if audio is None:
        return None
    length = _samples(clip.num_frames / clip.fps)
    start = _samples(audio.start.at(clip.end_seconds))
    room = length - start
    if start < 0 or room <= 0:
        raise mistake_of(audio, "start", "the sound starts outside the clip")
    first = _samples(audio.trim[0])
    stop = first + room if audio.trim[1] is None else _samples(audio.trim[1])
    try:
        there, is_mono, seconds = _listen(audio.path, stop)
    except SoundError as error:
        raise mistake_of(audio, "file", str(error)) from error
    used = min(there, stop) - first
    if stop <= first:
        raise mistake_of(audio, "trim", "trim leaves less than one sample, 1/48000 s, of the sound")
    if used <= 0:
        where = f"the sound is {_clock(there)} long, and trim begins at {_clock(first)}"
        raise mistake_of(audio, "trim", where)
    heard = room if audio.loop else min(used, room)
    fade_in, fade_out = _samples(audio.fade_in_seconds), _samples(audio.fade_out_seconds)
    if fade_in + fade_out > heard:
        key = "fade-out" if fade_out else "fade-in"
        raise mistake_of(audio, key, f"the fades are longer than the {_clock(heard)} of sound")
    notes = []
    if audio.trim[1] is not None and there < stop:
        notes.append(f"{audio.path.name} ends at {_clock(there)}, before trim does")
    soundtrack = Soundtrack(
        path=audio.path,
        is_mono=is_mono,
        first=first,
        used=used,
        start=start,
        heard=heard,
        clip=length,
        loop=audio.loop and used < heard,
        fade_in=fade_in,
        fade_out=fade_out,
        seconds=seconds,
        notes=tuple(notes),
    )
    if audio.loudness_lufs is None:
        return soundtrack
    return _brought_to(soundtrack, audio.loudness_lufs)


def _listen(path: Path, wanted: int) -> tuple[int, bool, float | None]:
    """Samples that there are, of as many as are wanted; whether mono; the stated length."""
    check_sound(path)
    # A byte a sample, and no more of it decoded than is heard.
    counted = ["-map", "0:a:0", "-ac", "1", "-ar", str(SAMPLE_RATE)]
    most = f"{wanted / SAMPLE_RATE + 0.001:.6f}"
    outcome = run_ffmpeg([*inputs_of(path), *counted, "-t", most, "-f", "u8", "pipe:1"])
    if outcome.code or not outcome.num_bytes:
        raise refusal(path, outcome)
    seconds = None
    if outcome.num_bytes < wanted:
        seconds = outcome.num_bytes / SAMPLE_RATE
    elif stated := _DURATION.search(outcome.words):
        seconds = 3600 * int(stated[1]) + 60 * int(stated[2]) + float(stated[3])
    channels = _CHANNELS.search(outcome.words)  # the first: what is written is mono itself
    is_mono = channels is not None and channels[1].strip() in ("mono", "1 channels")
    return outcome.num_bytes, is_mono, seconds


def _brought_to(soundtrack: Soundtrack, lufs: float) -> Soundtrack:
    """The soundtrack with the gain that brings all of it to a loudness, short of clipping.

    ffmpeg's ebur128 measures what is heard in the clip, fades included, and one gain is applied to
    all of it. Its loudnorm was not taken: where peaks stand in the way it compresses, unasked.
    """
    measure = f"{soundtrack.filters(range(soundtrack.clip))},ebur128=peak=true:framelog=quiet"
    outcome = run_ffmpeg(
        [*soundtrack.inputs, "-map", "0:a:0", "-af", measure, "-ac", "1", "-f", "u8", "pipe:1"]
    )
    loudness, peak = _LOUDNESS.findall(outcome.words), _PEAK.findall(outcome.words)
    if outcome.code or not loudness or not peak:
        raise EncodeError(
            f"{soundtrack.path}: its loudness can't be measured ({outcome.ending}):\n"
            f"{outcome.words[-2000:]}"
        )
    found, loudest = float(loudness[-1]), float(peak[-1])
    name = soundtrack.path.name
    if not found > SILENT_LUFS:
        note = f"{name} is silent here: no gain brings it to {lufs:g} LUFS"
        return replace(soundtrack, notes=(*soundtrack.notes, note))
    gain = min(lufs - found, LOUDEST_PEAK_DB - loudest)
    notes = soundtrack.notes
    if gain < lufs - found:
        reached = f"{found + gain:.1f} LUFS, not {lufs:g}"
        notes += (f"{name} is brought to {reached}: louder its peaks would clip",)
    return replace(soundtrack, gain_db=gain, notes=notes)


def mistake_of(audio: Audio, key: str, message: str) -> TimelineError:
    """The error of a sound, at what its timeline says of it."""
    return TimelineError([Mistake(audio.mark(key), message)])


def _samples(seconds: Fraction) -> int:
    return int(seconds * SAMPLE_RATE)


def _clock(samples: int) -> str:
    return f"{samples / SAMPLE_RATE:.6g} s"
