"""Builds a whole family of networks, in pieces: the same command goes on where it stopped.

    python -m tools.demo_networks.build --minutes 9.5

Draws the pictures, trains the base and each run, and evaluates them; what is done is skipped.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from animix.errors import AnimixError
from tools.demo_networks.evaluate import evaluate
from tools.demo_networks.family import PLANS, Family, Member
from tools.demo_networks.features import efficientnet
from tools.demo_networks.pictures import LOSSLESS, make_pictures
from tools.demo_networks.train import chosen_device, train

BASE = "colour"
RUNS = ("neon", "relief", "goblin")
STEPS = ("pictures", "train", "evaluate")


def make_all_pictures(family: Family) -> None:
    """Make the pictures of all members that are not there, both halves."""
    for member in family.members:
        for held_out in (False, True):
            path = family.pictures(member, held_out)
            if path.exists():
                continue
            count = make_pictures(
                path,
                size=family.plan.size.img_resolution,
                domain=member.domain,
                images=member.images,
                count=family.plan.held_out if held_out else family.plan.count,
                held_out=held_out,
                quality=family.quality,
            )
            print(f"{path}: {count:,} pictures, {path.stat().st_size / 2**20:.1f} MB")


def build(family: Family, steps: tuple[str, ...], minutes: float, device: str | None) -> bool:
    """Do the steps for so many minutes, in order; whether all are done.

    Only training stops in time: pictures and evaluation take what they take.
    """
    stop_at = time.monotonic() + 60 * minutes
    chosen = chosen_device(device)
    if "pictures" in steps:
        make_all_pictures(family)
    for member in family.members if "train" in steps else ():
        left = (stop_at - time.monotonic()) / 60
        print(f"{member.name}:")
        training = family.training(member)
        if not training.last_path.exists() and left <= 0:
            return False
        if not train(training, left, chosen, compiled=chosen.type == "cuda"):
            return False
    if "evaluate" in steps and not (family.folder / "evaluation" / "distances.json").exists():
        if time.monotonic() >= stop_at:
            return False
        evaluate(family, efficientnet(chosen), chosen)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds a family of networks, in pieces.")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--size", choices=PLANS, default="full")
    parser.add_argument("--folder", type=Path, default=Path("demo-networks"), metavar="DIR")
    parser.add_argument("--runs", default=",".join(RUNS), help="domains to fine-tune to")
    parser.add_argument(
        "--images",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="fine-tune to your own pictures instead; more than once for more runs",
    )
    parser.add_argument("--base-images", type=Path, metavar="DIR", help="the base's pictures too")
    parser.add_argument("--steps", default=",".join(STEPS), help=f"of {', '.join(STEPS)}")
    parser.add_argument("--quality", type=int, default=LOSSLESS, help="of WebP; 100: lossless")
    parser.add_argument("--device", help="cuda, cpu (cuda if there is one)")
    options = parser.parse_args()
    steps = tuple(options.steps.split(","))
    if unknown := set(steps) - set(STEPS):
        parser.error(f"{', '.join(unknown)} is no step, expected some of {', '.join(STEPS)}")
    sys.stdout.reconfigure(line_buffering=True)
    try:
        own = tuple(Member(folder.name, folder) for folder in options.images)
        domains = tuple(Member(name) for name in options.runs.split(",") if name)
        base = options.base_images
        family = Family(
            folder=options.folder,
            plan=PLANS[options.size],
            base=Member(base.name, base) if base else Member(BASE),
            runs=own or domains,
            quality=options.quality,
        )
        done = build(family, steps, options.minutes, options.device)
    except AnimixError as exc:
        parser.error(str(exc))
    print("all is done" if done else "not all is done: the same command goes on")


if __name__ == "__main__":
    main()
