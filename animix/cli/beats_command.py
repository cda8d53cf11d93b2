"""The command that finds the beats of sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from animix.cli.app import AsJson, Quiet, each, keep_inputs
from animix.cli.arguments import with_suffix
from animix.cli.report import choose_report
from animix.errors import OptionError
from animix.tables import count


def beats(
    sounds: Annotated[
        list[Path], typer.Argument(metavar="SOUND", readable=False, help="Sounds, or films.")
    ],
    click: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the sound with a click on each beat, as WAV."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the tempo and the first beat of sounds, and keep them beside each for ``bpm: auto``.

    A constant tempo is assumed. Whether a tempo, its half or its double is felt as the beat is
    for ears to say: --click writes what to listen to, with higher clicks where bars begin.
    """
    report = choose_report(as_json=as_json, quiet=quiet)

    def find(sound: Path) -> None:
        from animix.sound.beats_file import beats_file, beats_of, facts_of
        from animix.sound.clicks import write_clicks

        if click and len(sounds) > 1:
            raise OptionError("--click writes one sound: give one")
        target = with_suffix(click, ".wav", "--click") if click else None
        if target is not None:
            keep_inputs(target, [sound], "command")
        kept = beats_of(sound, anew=True)
        found = kept.beats
        bars = "bars told apart" if found.has_bars else "bars not told apart"
        report.result(
            f"{sound}  {float(found.bpm):g} beats a minute (half {float(found.half_bpm):g}, double "
            f"{float(found.double_bpm):g}), first beat at {float(found.first_beat_seconds):.3f} s, "
            f"{count(found.num_beats, 'beat')}, {bars}, confidence {found.confidence:g}",
            file=str(sound),
            half_bpm=float(found.half_bpm),
            double_bpm=float(found.double_bpm),
            **facts_of(found),
        )
        if found.doubt:
            report.note(f"{sound.name}: this may be wrong: {found.doubt}")
        if kept.why_not_kept:
            report.note(f"{beats_file(sound).name} is not kept: {kept.why_not_kept}")
        if target is not None:
            write_clicks(sound, found, target)
            report.result(f"{target}  {count(found.num_beats, 'click')}", file=str(target))

    each(sounds[:1] if click else sounds, find, report)
