"""The command that tells of presets: what is written for each, what it refuses, and who says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from animix.cli.app import AsJson, Quiet, end
from animix.cli.report import choose_report
from animix.tables import table

if TYPE_CHECKING:
    from animix.timeline.presets import Preset

# Presets are imported where they are used, so that `animix --help` answers at once.

HEADER = ("preset", "for", "format", "size", "fps", "crf", "at most")


def presets(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the presets of output: what each writes, what its platform refuses, and the sources."""
    from animix.timeline.presets import presets as all_presets

    report = choose_report(as_json=as_json, quiet=quiet)
    found = list(all_presets().values())
    if as_json:
        for preset in found:
            report.result("", **preset_dict(preset))
    else:
        report.result(*lines_of(found))
    end(report)


def lines_of(found: list[Preset]) -> list[str]:
    """The table for people: numbers first, then what is refused, then where it is written."""
    lines = table(HEADER, [_row(preset) for preset in found], "<<<>>>>")
    lines += ["", "What platforms refuse:"]
    lines += table(
        ("", "", ""),
        [
            (f"  {preset.name}", limit.quantity, limit.words)
            for preset in found
            for limit in preset.limits
        ],
        "<<<",
    )[1:]
    lines += ["", "Who says so:"]
    sources = {source: None for preset in found for source in preset.sources.values()}
    sources |= {limit.source: None for preset in found for limit in preset.limits}
    return lines + [f"  {source}\n    {source.url}" for source in sources]


def preset_dict(preset: Preset) -> dict[str, Any]:
    """Everything about a preset, for machines: each number with its source."""
    from animix.timeline.presets import NUMBERS

    numbers = {}
    for name in NUMBERS:
        value = getattr(preset, name)
        if value is not None:
            source = preset.sources[name]
            shown = "x".join(map(str, value)) if isinstance(value, tuple) else value
            numbers[name] = {
                "value": str(shown) if name in ("size", "fps", "gop_seconds") else shown,
                "source": source.title,
                "url": source.url,
                "date": source.date,
            }
    limits = [
        {
            "quantity": limit.quantity,
            "low": None if limit.low is None else float(limit.low),
            "high": None if limit.high is None else float(limit.high),
            "source": limit.source.title,
            "url": limit.source.url,
            "date": limit.source.date,
        }
        for limit in preset.limits
    ]
    return {
        "preset": preset.name,
        "for": preset.about,
        "container": preset.facts.container,
        "codec": preset.codec,
        "pixel_format": preset.facts.pixel_formats[0],
        "numbers": numbers,
        "limits": limits,
    }


def _row(preset: Preset) -> tuple[str, ...]:
    from animix.timeline.presets import number

    size = "the clip's"
    if preset.size is not None:
        size = "x".join(map(str, preset.size))
    elif preset.widest is not None:
        size = f"{preset.widest} wide"
    elif preset.is_draft:
        size = "half"
    return (
        preset.name,
        preset.about,
        f"{preset.facts.container} {preset.codec}",
        size,
        "the clip's" if preset.fps is None else number(preset.fps),
        "–" if preset.crf is None else str(preset.crf),
        "–" if preset.max_bitrate is None else f"{preset.max_bitrate / 1e6:g} Mbps",
    )
