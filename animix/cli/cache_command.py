"""The command that tells what interrupted renders have left, and removes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from animix.cli.app import AsJson, Quiet, each
from animix.cli.report import choose_report
from animix.tables import count

RENDERS = Path("renders")


def cache(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", readable=False, help="Where films are.")
    ] = RENDERS,
    do_prune: Annotated[bool, typer.Option("--prune", help="Remove it.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Tell what is kept of films that were interrupted, or rendered with --keep-cache.

    It stands in a hidden folder beside them. What a render is at work on is never removed.
    """
    report = choose_report(as_json=as_json, quiet=quiet)

    def tell_one(folder: Path) -> None:
        from animix.video.cache import kept_in, prune
        from animix.video.record import prune_records

        # Before the first render there is no folder yet, and nothing in it.
        kept = kept_in(folder) if folder != RENDERS or folder.is_dir() else []
        if do_prune:
            prune(folder)
            prune_records(folder)
        left = {film.film for film in kept_in(folder)} if kept and do_prune else set()
        removed = [film for film in kept if do_prune and film.film not in left]
        for film in kept:
            told = "removed" if film in removed else "being rendered" if film.is_in_use else "kept"
            report.result(
                f"{film.film}  {count(film.num_chunks, 'chunk')}, {film.num_bytes / 1e6:.1f} MB, "
                f"{told}",
                file=str(film.film),
                chunks=film.num_chunks,
                bytes=film.num_bytes,
                state=told,
            )
        counted = removed if do_prune else kept
        num_bytes = sum(film.num_bytes for film in counted)
        told = f"{count(len(counted), 'film')}, {num_bytes / 1e6:.1f} MB"
        if do_prune:
            told += " removed"
            if stay := len(kept) - len(removed):
                told += f"; {count(stay, 'film')} left as before"
        report.result(
            f"{folder}  {told}",
            folder=str(folder),
            films=len(counted),
            bytes=num_bytes,
        )

    each([folder], tell_one, report)
