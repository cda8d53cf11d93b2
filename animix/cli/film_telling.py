"""What render tells of a finished film."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from animix.cli.report import Report, clock
from animix.errors import AnimixError
from animix.progress import Progress
from animix.tables import count, share_lines

if TYPE_CHECKING:
    from animix.film import Film
    from animix.rendering import Job

# Whatever needs torch is imported inside the functions, so that `animix --help` answers at once.


def tell_film(report: Report, job: Job, last: Progress, *, alone: bool) -> None:
    """Tell where a film is, what it is like, and how long it took; ``last`` is the last step.

    One that is ``alone`` shares it with no others.
    """
    from animix.delivery import size_warning

    film, num_frames = job.film, len(job.wanted)
    width, height = film.canvas_size
    fps = film.schedule.fps
    report.result(
        f"{job.target}  {count(num_frames, 'frame')}, {float(num_frames / fps):.4g} s, "
        f"{width}×{height}; {_how_long(film, last)}",
        file=str(job.target),
        frames=num_frames,
        **({"frames_before": last.done_before} if alone else {}),
        width=width,
        height=height,
        fps=str(fps),
        elapsed_seconds=round(last.elapsed_seconds, 3),
        slowest_stage=last.slowest_stage,
        device=film.devices,
    )
    if warning := size_warning(film, job.target):
        report.note(warning)


def _how_long(film: Film, last: Progress) -> str:
    seconds = clock(last.elapsed_seconds)
    if last.done == last.done_before:
        return f"put together in {seconds}, all of it was rendered before"
    return (
        f"rendered in {seconds} ({last.per_second:.1f} fps, {film.devices}; "
        f"{last.slowest_stage} took longest)"
    )


def tell_profile(report: Report, job: Job, stages: Mapping[str, float]) -> None:
    """Tell where the time of a film went, by its stages, and by what painting does."""
    from animix.profile import profile

    report.profile(
        *share_lines(stages, "s"),
        stage_seconds={name: round(seconds, 3) for name, seconds in stages.items()},
    )
    try:
        found = profile(job.film, job.wanted[len(job.wanted) // 2])
    except AnimixError as error:  # the film is there all the same
        report.note(f"painting can't be measured step by step: {error}")
        return
    report.profile(
        f"painting a frame on {found.device}, measured step by step once more, in a cell of "
        f"{found.num_frames}:",
        *share_lines(found.milliseconds, "ms"),
        frames_of_a_cell=found.num_frames,
        step_milliseconds={name: round(ms, 4) for name, ms in found.milliseconds.items()},
    )
