"""Trains a network, in pieces: the same command goes on where it stopped.

    python -m tools.demo_networks.train --pictures colour.zip --out colour --minutes 9.5
    python -m tools.demo_networks.train --pictures neon.zip --out neon \\
        --from colour/colour.safetensors --discriminator colour/colour-discriminator.safetensors

In the folder --out: state.pt, the networks, the discriminator and a picture of each.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from animix.errors import AnimixError, OptionError
from tools.demo_networks.learner import Learner, new_learner
from tools.demo_networks.pictures import read_pictures
from tools.demo_networks.ranks import ALONE, Ranks, joined
from tools.demo_networks.recipe import FINE_TUNE, Recipe
from tools.demo_networks.release import (
    Origin,
    descended,
    network_from,
    read_discriminator,
    write_discriminator,
    write_network,
)
from tools.demo_networks.sheet import write_sheet
from tools.demo_networks.sizes import SIZES, Size
from tools.demo_networks.state import load_state, save_state

STATE = "state.pt"
SAVE_EVERY_SECONDS = 180
TELL_EVERY_SECONDS = 10
STEPS_BETWEEN_LOOKS = 8
"""The clock is looked at so often; the device is waited for only where something is told."""


@dataclass(frozen=True)
class Training:
    """A network to be trained: from which pictures, how, and where its files lie."""

    pictures: Path
    out: Path
    size: Size
    recipe: Recipe
    origin: Origin
    parent: Path | None = None
    parent_discriminator: Path | None = None

    def network_path(self, number: int | None = None) -> Path:
        """Where a snapshot lies, from 1 on, or a base's only network."""
        domain = self.origin.domain
        return self.out / (f"{domain}-{number}.safetensors" if number else f"{domain}.safetensors")

    @property
    def last_path(self) -> Path:
        """Where the network lies that is written at the end."""
        count = len(self.recipe.snapshots)
        return self.network_path(count + 1 if count else None)

    @property
    def discriminator_path(self) -> Path:
        """Where the discriminator lies at the end."""
        return self.out / f"{self.origin.domain}-discriminator.safetensors"


def train(
    training: Training,
    minutes: float,
    device: torch.device,
    compiled: bool,
    tell: Callable[[str], None] = print,
    ranks: Ranks = ALONE,
) -> bool:
    """Train for so many minutes or to the end; whether it is done.

    Ctrl-C and SIGTERM save what was learnt and stop. Of several ranks the first one writes and
    tells.
    """
    stop_at = time.monotonic() + 60 * minutes
    if not ranks.is_first:
        tell = _silent
    if training.last_path.exists():
        tell(f"{training.last_path} is there: nothing to do")
        return True
    recipe, state = training.recipe, training.out / STATE
    learner, origin = _begun(training, device, tell, ranks)
    pictures = read_pictures(training.pictures).to(device)
    if pictures.shape[2] != training.size.img_resolution:
        raise OptionError(
            f"{training.pictures} holds pictures of {pictures.shape[2]} px, expected "
            f"{training.size.img_resolution}"
        )
    tell(f"{len(pictures):,} pictures, {device}")
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where bfloat16 isn't used
        torch.backends.cudnn.benchmark = True
    if compiled:
        learner.compile()

    saved = told = time.monotonic()
    images_told = learner.images
    with _interruptions() as is_stopped:
        while not learner.is_done:
            before = learner.images
            learner.step(pictures)
            for number, images in enumerate(recipe.snapshots, start=1):
                if ranks.is_first and before < images <= learner.images:
                    _release(learner, origin, training.network_path(number), tell)
            if learner.steps % STEPS_BETWEEN_LOOKS:
                continue
            now = time.monotonic()
            if now - told >= TELL_EVERY_SECONDS:
                tell(_line(learner, (learner.images - images_told) / (now - told)))
                told, images_told = now, learner.images
            if ranks.is_first and now - saved >= SAVE_EVERY_SECONDS:
                save_state(learner, state)
                saved = time.monotonic()
            if ranks.any(now >= stop_at or is_stopped(), device):
                break
        if ranks.is_first:
            save_state(learner, state)
            if learner.is_done:
                write_discriminator(learner, origin, training.discriminator_path)
                # Last: where it is, all is.
                _release(learner, origin, training.last_path, tell)
        ranks.wait()
    tell(_line(learner, 0) + (", done" if learner.is_done else ": the same command goes on"))
    return learner.is_done


def _silent(_line: str) -> None:
    pass


def _begun(
    training: Training, device: torch.device, tell: Callable[[str], None], ranks: Ranks
) -> tuple[Learner, Origin]:
    """A learner that goes on where it stopped, or from the parent, or from nothing."""
    size, recipe, origin = training.size, training.recipe, training.origin
    parent = None
    if training.parent is not None:
        parent, origin = descended(origin, training.parent)
    state = training.out / STATE
    if state.exists():
        learner = load_state(state, size, recipe, device, ranks)
        tell(f"goes on after {learner.images:,} pictures")
        return learner, origin
    discriminator = None
    if training.parent_discriminator is not None:
        discriminator = read_discriminator(training.parent_discriminator)
    tensors = parent.tensors if parent else None
    learner, fresh = new_learner(size, recipe, device, tensors, discriminator, ranks)
    if fresh:
        tell(f"new, for the start has none of them: {', '.join(_blocks(fresh))}")
    return learner, origin


def _blocks(names: list[str]) -> list[str]:
    """The blocks of tensors, each once: what stands in the list of those that are new."""
    return list(
        dict.fromkeys(re.sub(r"\.(conv|torgb|fromrgb|skip|const|fc).*", "", n) for n in names)
    )


def _release(learner: Learner, origin: Origin, path: Path, tell: Callable[[str], None]) -> None:
    network = network_from(learner, origin)
    write_sheet(path.with_suffix(".png"), network, learner.device)
    write_network(network, path)
    tell(f"{path} after {learner.images:,} pictures")


def _line(learner: Learner, per_second: float) -> str:
    told = {name: float(value) for name, value in learner.told.items()}
    numbers = "  ".join(f"{name} {value:.3g}" for name, value in told.items())
    total = learner.recipe.total_images
    line = f"{learner.images:,} of {total:,}  {numbers}  augment {float(learner.probability):.2f}"
    if per_second:
        left = (total - learner.images) / per_second
        line += f"  {per_second:.0f} images/s  {left / 60:.1f} min left"
    return line


@contextlib.contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Let a first Ctrl-C or SIGTERM be told, for a step must not be torn; a second one ends it."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped.is_set
        return
    before: dict[int, Any] = {}

    def stop(number: int, _frame: Any) -> None:
        stopped.set()
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield stopped.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def thousands(text: str) -> tuple[int, ...]:
    """Numbers of pictures in thousands, ``4,16,50``, as an option has them."""
    return tuple(round(float(part) * 1000) for part in text.split(",") if part)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains a network, in pieces.")
    parser.add_argument("--pictures", type=Path, required=True, help="as pictures.py makes them")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--name", help="of the network and its files (the folder's)")
    parser.add_argument("--source", default="unknown", help="whose pictures, for the metadata")
    parser.add_argument("--licence", default="unknown", help="of the network, for the metadata")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--from", dest="parent", type=Path, help="a network to fine-tune")
    parser.add_argument("--discriminator", type=Path, help="the one that was trained with it")
    parser.add_argument("--snapshots", type=thousands, metavar="K,K", help="thousands of pictures")
    parser.add_argument("--total", type=float, metavar="K", help="thousands of pictures")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--gamma", type=float, help="R1's weight from the first to the last step")
    parser.add_argument("--freeze", help="mapping,4..16: what the generator keeps of its start")
    parser.add_argument("--freeze-d", type=int, help="so many blocks, from the pictures on")
    parser.add_argument(
        "--mirror", action="store_true", default=None, help="pictures may face both ways"
    )
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", help="cuda, cpu (cuda if there is one)")
    parser.add_argument("--no-compile", action="store_true", help="starts at once, learns slower")
    options = parser.parse_args()
    given = {
        name: getattr(options, name)
        for name in ("snapshots", "batch", "learning_rate", "freeze", "freeze_d", "mirror", "seed")
        if getattr(options, name) is not None
    }
    if options.total is not None:
        given["total_images"] = round(options.total * 1000)
        given.setdefault("snapshots", ())
    if options.gamma is not None:
        given |= {"gamma": options.gamma, "gamma_end": options.gamma}
    try:
        recipe = replace(FINE_TUNE if options.parent else Recipe(), **given)
        name = options.name or options.out.name
        training = Training(
            pictures=options.pictures,
            out=options.out,
            size=SIZES[options.size],
            recipe=recipe,
            origin=Origin(name, options.source, options.licence),
            parent=options.parent,
            parent_discriminator=options.discriminator,
        )
        sys.stdout.reconfigure(line_buffering=True)
        with joined(options.device) as (ranks, device):
            compiled = device.type == "cuda" and not options.no_compile
            train(training, options.minutes, device, compiled, ranks=ranks)
    except AnimixError as exc:
        parser.error(str(exc))


if __name__ == "__main__":
    main()
