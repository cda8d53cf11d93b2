"""Builds a whole family of networks, in pieces: the same command goes on where it stopped.

    python -m tools.demo_networks.build --minutes 9.5

Draws the pictures, trains the base and each run, and evaluates them; what is done is skipped.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from animix.errors import AnimixError
from tools.demo_networks.evaluate import evaluate
from tools.demo_networks.family import PLANS, Family, Member
from tools.demo_networks.features import efficientnet
from tools.demo_networks.pictures import LOSSLESS, make_pictures
from tools.demo_networks.ranks import ALONE, Ranks, joined
from tools.demo_networks.train import train

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


def build(
    family: Family,
    steps: tuple[str, ...],
    minutes: float,
    device: torch.device,
    ranks: Ranks = ALONE,
) -> bool:
    """Do the steps for so many minutes, in order; whether all are done.

    Only training stops in time: pictures and evaluation take what they take. Of several ranks the
    first one does those alone.
    """
    stop_at = time.monotonic() + 60 * minutes
    if "pictures" in steps and ranks.is_first:
        make_all_pictures(family)
    ranks.wait()
    for member in family.members if "train" in steps else ():
        left = (stop_at - time.monotonic()) / 60
        if ranks.is_first:
            print(f"{member.name}:")
        training = family.training(member)
        if ranks.any(not training.last_path.exists() and left <= 0, device):
            return False
        if not train(training, left, device, compiled=device.type == "cuda", ranks=ranks):
            return False
    if not ranks.is_first:
        return True
    if "evaluate" in steps and not (family.folder / "evaluation" / "distances.json").exists():
        if time.monotonic() >= stop_at:
            return False
        evaluate(family, efficientnet(device), device)
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
        with joined(options.device) as (ranks, device):
            done = build(family, steps, options.minutes, device, ranks)
    except AnimixError as exc:
        parser.error(str(exc))
    if ranks.is_first:
        print("all is done" if done else "not all is done: the same command goes on")


if __name__ == "__main__":
    main()
