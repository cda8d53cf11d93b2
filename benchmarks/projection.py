"""How near projection comes, what it costs, and what blends of what it found keep of the photo.

``.venv/bin/python -m benchmarks.projection`` projects held-out drawings of the demo networks' own
domain, prints a table and writes benchmarks/results/projection-DEVICE.json. It needs what draws
them: ``pip install -r tools/demo_networks/requirements.txt``.

- **plain** is the recipe of Karras et al. 2020, appendix D: one w, features alone, noise images
  found beside it, and painted with those. **plain, fixed noise** is the same without them.
- **animix** is ``animix project`` with as many steps, painted with the network's own noise, as a
  timeline does; ``faithful`` from 0 to 1 shows the trade-off.
- Features in the loss are the discriminator's. The distance that judges is another network's:
  EfficientNet-Lite0's, ‖f(a) − f(b)‖² of its last features' means.
- **identity** is how much of a picture's outlines is left in the blend of its w with another
  network from 32 px up: the cosine of luma gradients at 32 px, each set’s mean taken off, so that
  what all have in common does not count. Of a projected drawing the drawing itself is compared with
  the blend, of random latents (psi 0.7) the base's own picture. In brackets, **recognised**: the
  share of blends whose nearest picture of all, by that cosine, is their own.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from animix import demo
from animix.checkpoints.discriminators import load_discriminator
from animix.checkpoints.load import load_network
from animix.engine.device import choose_device
from animix.networks.blend import blend
from animix.projection.distance import Distance, Weights
from animix.projection.features import discriminator_features
from animix.projection.prior import prior_of
from animix.projection.projecting import psnr
from animix.projection.recipe import Recipe
from animix.projection.search import Search, paint
from tools.demo_networks.drawings import colour
from tools.demo_networks.features import efficientnet

FAITHFUL = (0.0, 0.25, 0.5, 0.75, 1.0)
SWAP = 32
"""Pixels from which up the blend is the other network's."""

OUTLINES_AT = 32
LUMA = torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]

DRAWINGS_FROM = 1
"""Odd numbers are held out from training."""


class Bench:
    """The network, the drawings and what judges."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.device = choose_device(options.device)
        file = options.networks / "base.safetensors"
        self.network = load_network(file).to(self.device)
        self.others = {
            name: load_network(options.networks / f"{name}.safetensors").to(self.device)
            for name in options.others
        }
        judge = load_discriminator(file)
        assert judge is not None, "the demo networks carry their discriminator"
        self.features = discriminator_features(judge.to(self.device))
        self.prior = prior_of(self.network)
        size = self.network.img_resolution
        numbers = range(DRAWINGS_FROM, DRAWINGS_FROM + 2 * options.count, 2)
        drawings = np.stack([colour(number, size) for number in numbers])
        planes = torch.from_numpy(drawings).permute(0, 3, 1, 2).float()
        self.targets = (planes / 127.5 - 1).to(self.device)
        self.judge = efficientnet(self.device)
        self.batch = options.batch

    def run(self, recipe: Recipe) -> dict[str, Any]:
        """Project all drawings by a recipe; ws, pictures and seconds a picture."""
        started, ws, painted = time.perf_counter(), [], []
        for targets in self.targets.split(self.batch):
            distance = Distance(targets, self.features, recipe.weights)
            search = Search(self.network, distance, self.prior, recipe, len(targets))
            for _ in search.steps():
                pass
            ws.append(search.ws)
            with torch.no_grad():
                painted.append(paint(self.network, search.ws, search.noise))
        seconds = (time.perf_counter() - started) / len(self.targets)
        return {"ws": torch.cat(ws), "painted": torch.cat(painted), "seconds": seconds}

    def told(self, found: dict[str, Any]) -> dict[str, Any]:
        """What a run's pictures and ws are like, picture by picture."""
        pairs = zip(found["painted"], self.targets, strict=True)
        apart = self.seen(found["painted"]) - self.seen(self.targets)
        return {
            "psnr": [psnr(one, other) for one, other in pairs],
            "feature_distance": apart.square().sum(dim=1).tolist(),
            "strangeness": self.prior.strangeness(found["ws"]).tolist(),
            "seconds_a_picture": found["seconds"],
        }

    def seen(self, pictures: Tensor) -> Tensor:
        """What the judging network sees in pictures in [-1, 1]: [N, F]."""
        return self.judge(((pictures.clamp(-1, 1) + 1) * 127.5 + 0.5).to(torch.uint8))

    def identity(self, ws: Tensor, shown: Tensor) -> dict[str, dict[str, float]]:
        """How much of pictures is left in the blends of their ws, by the network blended with."""
        told = {}
        upper = np.array(self.network.facts.resolutions) >= SWAP
        mix = np.stack([~upper, upper], axis=1).astype(float)
        for name, other in self.others.items():
            blended = blend([self.network, other], mix).to(self.device)
            pictures = torch.cat([blended.synthesis(one) for one in ws.split(self.batch)])
            alike = _directions(outlines(pictures)) @ _directions(outlines(shown)).T
            own = alike.argmax(dim=1) == torch.arange(len(alike), device=alike.device)
            told[name] = {
                "identity": float(alike.diagonal().mean()),
                "recognised": float(own.float().mean()),
            }
        return told


def outlines(pictures: Tensor) -> Tensor:
    """The lengths of luma's gradients at 32 px: [N, F]."""
    luma = (pictures.clamp(-1, 1) * LUMA.to(pictures.device)).sum(dim=1, keepdim=True)
    small = avg_pool2d(luma, luma.shape[2] // OUTLINES_AT)
    across, down = small.diff(dim=3)[:, :, 1:], small.diff(dim=2)[..., 1:]
    return torch.hypot(across, down).flatten(1)


def _short(blends: dict[str, dict[str, float]]) -> str:
    return ", ".join(
        f"{name} {each['identity']:.2f} ({each['recognised']:.0%})" for name, each in blends.items()
    )


def _directions(features: Tensor) -> Tensor:
    """Features [N, F] by how they differ from their mean, of length 1."""
    apart = features - features.mean(dim=0)
    return apart / apart.norm(dim=1, keepdim=True).clamp(min=1e-8)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=50, help="drawings (50)")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--device")
    parser.add_argument("--networks", type=Path, default=Path(demo.TIMELINE).parent)
    parser.add_argument("--others", nargs="*", default=["relief-4", "third-4"])
    parser.add_argument("--faithful", type=float, nargs="*", default=FAITHFUL)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    bench = Bench(options)
    plain = Recipe(steps=options.steps, share_in_w=1.0, faithful=1.0, weights=Weights(1, 0, 0))
    recipes = {
        "plain": replace(plain, noise="regularised"),
        **{
            f"animix, faithful {faithful:g}": Recipe(steps=options.steps, faithful=faithful)
            for faithful in sorted(options.faithful, key=lambda value: abs(value - 0.5))
        },
        "plain, fixed noise": plain,
        "animix, W alone": Recipe(steps=options.steps, share_in_w=1.0),
    }
    rows: dict[str, dict[str, Any]] = {}
    device = bench.device
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    about = {
        "device": on,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "img_resolution": bench.network.img_resolution,
        "drawings": options.count,
        "steps": options.steps,
        "others": options.others,
    }
    target = options.results / f"projection-{device.type}.json"
    rng = np.random.RandomState(0)
    random = bench.network.mapping(rng.randn(50, bench.network.z_dim), None, 0.7)
    about["random"] = bench.identity(random, bench.network.synthesis(random))
    print(f"random latents           identity {_short(about['random'])}", flush=True)
    for name, recipe in recipes.items():
        found = bench.run(recipe)
        row = bench.told(found)
        row["blends"] = bench.identity(found["ws"], bench.targets)
        rows[name] = row
        base = rows["plain"]
        row["gain_db"] = float(np.mean(row["psnr"]) - np.mean(base["psnr"]))
        row["nearer_than_plain"] = int(
            np.sum(np.array(row["feature_distance"]) < np.array(base["feature_distance"]))
        )
        print(
            f"{name:24} PSNR {np.mean(row['psnr']):5.2f} ({row['gain_db']:+.2f})  features "
            f"{np.mean(row['feature_distance']):6.1f} (nearer {row['nearer_than_plain']})  "
            f"strange {np.mean(row['strangeness']):6.1f}  "
            f"{row['seconds_a_picture']:.1f} s a picture  identity {_short(row['blends'])}",
            flush=True,
        )
        target.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
