"""How evenly pictures change along a path, plain and with ``even: true``.

``.venv/bin/python benchmarks/even.py`` paints loops of the demo's base network at 30 frames a
second, prints a table and writes benchmarks/results/even.json: the share of steps from frame to
frame, that over the seam included, that lie within ±15 % of their median.

Frames are painted in float32: at 16 bits what they round is a part of such small steps.
Steps are judged by other metrics than paths are measured by, and on seeds that nothing was chosen
by: the mean CIEDE2000 of all pixels (Sharma, Wu and Dalal 2005), and the root of 1 − SSIM of luma
(Wang et al. 2004; blocks of 7×7, the mean of four scales).
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from animix import demo
from animix.evenness import lab
from animix.film import open_film
from animix.timeline.reader import load_timeline

SHARE = 0.15
SECONDS = 2
"""From one seed to the next."""
PATHS = {
    "spline, 4 seeds": ("[1001, 1002, 1003, 1004]", ""),
    "spline, 3 seeds": ("[77, 78, 79]", ""),
    "linear, 3 seeds": ("[640, 641, 642]", ", path: linear"),
    "slerp in z, 3 seeds": ("[5000, 5001, 5002]", ", space: z"),
}
"""Seeds and options of each; the seeds that CHROMA was chosen by are not among them."""

TIMELINE = """
networks: {faces: %s}
duration: %ds
loop: true
latents: {seeds: %s%s}
"""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    rows = []
    for name, (seeds, more) in PATHS.items():
        for kind, even in (("plain", ""), ("even", ", even: true")):
            told = judged(pictures(seeds, more + even))
            rows.append({"path": name, "kind": kind, **told})
            shares = ", ".join(f"{metric} {share:.1%}" for metric, share in told.items())
            print(f"{name:20}  {kind:5}  {shares}", flush=True)
    found = {"machine": platform.machine(), "torch": torch.__version__, "rows": rows}
    target = options.results / "even.json"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def pictures(seeds: str, more: str) -> Tensor:
    """All frames of a loop, and the first one again: [N + 1, 3, H, W], in [-1, 1]."""
    base = Path(demo.TIMELINE).parent / "base.safetensors"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "even.yaml"
        text = TIMELINE % (base, SECONDS * len(seeds.split(",")), seeds, more)
        file.write_text(text, encoding="utf-8")
        film = open_film(load_timeline(file), precision="float32")
    cells = [film.pictures([film.schedule.row(n)])[0] for n in range(film.schedule.num_frames)]
    return torch.stack([*cells, cells[0]]).clamp(-1, 1).cpu()


def judged(shown: Tensor) -> dict[str, float]:
    """The share of steps near their median, by each metric."""
    metrics = {"CIEDE2000": ciede2000(shown), "1 − SSIM": dissimilarity(shown)}
    return {
        name: float((np.abs(steps / np.median(steps) - 1) <= SHARE).mean())
        for name, steps in metrics.items()
    }


def ciede2000(shown: Tensor) -> NDArray[np.float64]:
    """The mean CIEDE2000 between each picture and the next: [N − 1]."""
    colours = lab(shown).double()
    one, other = colours[:-1], colours[1:]
    return difference(one, other).mean((1, 2)).numpy()


def difference(one: Tensor, other: Tensor) -> Tensor:
    """The CIEDE2000 of colours in L*a*b* [N, 3, …]: [N, …]."""
    light_1, a_1, b_1 = one.unbind(1)
    light_2, a_2, b_2 = other.unbind(1)
    chroma = (torch.hypot(a_1, b_1) + torch.hypot(a_2, b_2)) / 2
    gain = 1.5 - 0.5 * _seventh(chroma)
    a_1, a_2 = a_1 * gain, a_2 * gain
    chroma_1, chroma_2 = torch.hypot(a_1, b_1), torch.hypot(a_2, b_2)
    hue_1, hue_2 = torch.atan2(b_1, a_1), torch.atan2(b_2, a_2)
    turn = torch.remainder(hue_2 - hue_1 + np.pi, 2 * np.pi) - np.pi
    by_hue = 2 * (chroma_1 * chroma_2).sqrt() * torch.sin(turn / 2)
    light, chroma, hue = (light_1 + light_2) / 2, (chroma_1 + chroma_2) / 2, hue_1 + turn / 2
    degrees = np.pi / 180
    weight = (
        1
        - 0.17 * torch.cos(hue - 30 * degrees)
        + 0.24 * torch.cos(2 * hue)
        + 0.32 * torch.cos(3 * hue + 6 * degrees)
        - 0.20 * torch.cos(4 * hue - 63 * degrees)
    )
    of_light = 1 + 0.015 * (light - 50) ** 2 / (20 + (light - 50) ** 2).sqrt()
    of_chroma, of_hue = 1 + 0.045 * chroma, 1 + 0.015 * chroma * weight
    place = (torch.remainder(hue, 2 * np.pi) / degrees - 275) / 25
    rotation = -2 * _seventh(chroma) * torch.sin(60 * degrees * torch.exp(-(place**2)))
    in_light = (light_2 - light_1) / of_light
    in_chroma, in_hue = (chroma_2 - chroma_1) / of_chroma, by_hue / of_hue
    total = in_light**2 + in_chroma**2 + in_hue**2 + rotation * in_chroma * in_hue
    return total.clamp_min(0).sqrt()


def _seventh(chroma: Tensor) -> Tensor:
    return (chroma**7 / (chroma**7 + 25.0**7)).sqrt()


def dissimilarity(shown: Tensor) -> NDArray[np.float64]:
    """The mean over four scales of √(1 − SSIM) between each picture and the next: [N − 1]."""
    weights = torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]
    luma = (shown * weights).sum(1, keepdim=True).double() / 2 + 0.5
    total = torch.zeros(len(luma) - 1, dtype=torch.float64)
    for _ in range(4):
        one, other = luma[:-1], luma[1:]
        mean_1, mean_2 = _blocks(one), _blocks(other)
        var_1, var_2 = _blocks(one**2) - mean_1**2, _blocks(other**2) - mean_2**2
        both = _blocks(one * other) - mean_1 * mean_2
        alike = (2 * mean_1 * mean_2 + 1e-4) / (mean_1**2 + mean_2**2 + 1e-4)
        alike = alike * (2 * both + 9e-4) / (var_1 + var_2 + 9e-4)
        total += (1 - alike).clamp_min(0).mean((1, 2, 3)).sqrt()
        luma = avg_pool2d(luma, 2)
    return (total / 4).numpy()


def _blocks(values: Tensor) -> Tensor:
    return avg_pool2d(values, 7, 1)


if __name__ == "__main__":
    main()
