"""The command that projects photos: finds the w that paints them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from animix.cli.app import (
    AsJson,
    Device,
    Quiet,
    check_writable,
    end,
    interruptible,
    keep_inputs,
    named_path,
)
from animix.cli.report import Report, choose_report
from animix.errors import AnimixError, OptionError, unusable
from animix.tables import count

if TYPE_CHECKING:
    from animix.networks.network import Network
    from animix.projection.projecting import Result, Task
    from animix.projection.recipe import Recipe
    from animix.projection.tuning import TuningRecipe

# Whatever needs torch is imported inside the functions, so that `animix --help` answers at once.

FOLDER = Path("projected")


class Cutting(NamedTuple):
    """What is taken of photos, as the options say."""

    align: bool
    face: int | None
    crop: str | None


def project(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO", readable=False, help="Pictures of any size.")
    ],
    network: Annotated[
        Path,
        typer.Option("--network", "-n", metavar="FILE", readable=False, help="A checkpoint."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", parser=named_path, help="The folder for the results."
        ),
    ] = FOLDER,
    steps: Annotated[int, typer.Option(help="First in W, then in W+.")] = 500,
    faithful: Annotated[
        float,
        typer.Option(metavar="0..1", help="1: nearest to the photo; 0: most editable, for blends."),
    ] = 0.5,
    features: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="What compares: auto, discriminator, efficientnet, pixels, or a VGG16 file.",
        ),
    ] = "auto",
    noise: Annotated[
        str, typer.Option(metavar="fixed|regularised", help="Noise is found beside w, or stays.")
    ] = "fixed",
    align: Annotated[
        bool, typer.Option("--align", help="Paint faces, cropped and turned as FFHQ's are.")
    ] = False,
    face: Annotated[
        int | None, typer.Option(metavar="N", help="With --align: of several the N-th largest.")
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(metavar="X,Y,SIZE", help="The square to paint; else the middle one."),
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Tune the network around each photo: a snapshot.")
    ] = False,
    tuning_steps: Annotated[int | None, typer.Option(help="Of --tune; else 200.")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Photos at a time; else 1 on a CPU, 8 on a GPU.")
    ] = None,
    device: Device = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the w that paints photos: files that stand in a timeline wherever a seed may.

    Of each there is a .npz, a .png with the photo and what was found side by side and, with --tune,
    a network in which it looks like the photo. Ctrl-C keeps the best so far; the same command goes
    on from there and leaves what is done.
    """
    report = choose_report(as_json=as_json, quiet=quiet)
    code = 0
    with interruptible(report):
        from animix.projection.recipe import Recipe

        try:
            code = _project(
                photos,
                network,
                output,
                Recipe(steps=steps, faithful=faithful, noise=noise),
                features,
                Cutting(align, face, crop),
                _tuning(tune, tuning_steps),
                batch,
                device,
                report,
            )
        except AnimixError as error:
            report.error(str(network), error)
            code = error.exit_code
        except OSError as error:
            report.error(str(output), unusable(error, str(output)))
            code = OptionError.exit_code
    end(report, code)


def _project(
    photos: Sequence[Path],
    network_file: Path,
    output: Path,
    recipe: Recipe,
    features: str,
    cutting: Cutting,
    tuning: TuningRecipe | None,
    batch: int | None,
    device: str | None,
    report: Report,
) -> int:
    """Project photos and tell what was made; the exit code."""
    from animix.checkpoints.load import load_network
    from animix.engine.device import choose_device
    from animix.projection.judges import choose_features
    from animix.projection.projecting import Projecting

    chosen = choose_device(device)
    if output.exists() and not output.is_dir():
        raise OptionError(f"--output {output}: is a file; name a folder")
    opened = load_network(network_file).to(chosen)
    judging, note = choose_features(features, network_file, opened, chosen)
    if note:
        report.note(note)
    tasks, code = _tasks(photos, cutting, opened, output, report)
    if not tasks:
        return code
    for task in tasks:
        for target in (task.target, task.comparison, task.snapshot):
            keep_inputs(target, [*photos, network_file], "command")
    check_writable(tasks[0].target.with_suffix(".part"))
    projecting = Projecting(network_file, opened, tasks, judging, recipe, tuning, batch)
    # A Ctrl-C in what shows the steps ends them as well: so the best is written before it is told.
    try:
        with closing(projecting.steps()) as steps:
            deque(report.follow(count(len(tasks), "photo"), steps, unit="steps/s"), maxlen=0)
    except KeyboardInterrupt:
        if projecting.begun:
            anew = ", but begins a tuning anew" if tuning else ""
            report.note(
                f"the best so far is in {output}; the same command goes on from there{anew}"
            )
        raise
    for result in projecting.results:
        _tell(result, report)
    return code


def _tuning(tune: bool, steps: int | None) -> TuningRecipe | None:
    """How the network is to be tuned, None: not at all."""
    from animix.projection.tuning import TuningRecipe

    if steps is not None and not tune:
        raise OptionError(f"--tuning-steps {steps}: add --tune")
    if not tune:
        return None
    return TuningRecipe() if steps is None else TuningRecipe(steps=steps)


def _tasks(
    photos: Sequence[Path], cutting: Cutting, network: Network, folder: Path, report: Report
) -> tuple[list[Task], int]:
    """What is to be painted, and the exit code of photos that can't be."""
    from animix.photos.alignment import crops_of
    from animix.photos.photo import read_photo
    from animix.projection.projecting import tasks_of

    tasks: list[Task] = []
    code = 0
    for path in photos:
        try:
            photo = read_photo(path)
            for text in photo.notes:
                report.note(f"{path}: {text}")
            crops = crops_of(photo, align=cutting.align, face=cutting.face, crop=cutting.crop)
            if cutting.align and crops[0].of != "face":
                report.note(f"{path}: no face was found, so the middle is taken; see --crop")
            tasks += tasks_of(photo, crops, network, folder)
        except AnimixError as error:
            report.error(str(path), error)
            code = max(code, error.exit_code)
    return tasks, code


def _tell(result: Result, report: Report) -> None:
    """Tell what was found of a photo."""
    task, projected = result.task, result.projected
    settings = projected.settings
    there = "; was there already" if result.was_there else ""
    report.result(
        f"{task.target}  {projected.photo}: PSNR {settings['psnr']:.1f} dB, as unusual as "
        f"{settings['strangeness']:.1f} seeds{there}",
        file=str(task.target),
        comparison=str(task.comparison),
        photo=str(task.photo),
        psnr=settings["psnr"],
        strangeness=settings["strangeness"],
        step=settings["step"],
        was_there=result.was_there,
        **({"snapshot": str(result.snapshot)} if result.snapshot else {}),
    )
    if result.snapshot:
        report.result(f"{result.snapshot}  tuned around it", file=str(result.snapshot))
