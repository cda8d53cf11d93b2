"""Where the time of a paired data set goes: generation, transfer, encoding and writing.

Each part is timed alone on the same pairs: cells are painted and waited for on the device; painted
and brought to the host; encoded in one thread; encoded by as many threads as there are cores, and
by as many processes; written. Then the whole is, as ``animix pairs`` makes it, into a fresh folder.
``.venv/bin/python benchmarks/pairs.py``, on a machine that has nothing else to do, prints the
figures and writes benchmarks/results/pairs-cpu.json (or -cuda). Networks are the demo's, or
StyleGAN2's configuration F with random weights: ``--side 256``.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from render import processor, random_network

import animix
from animix.engine.device import choose_device, painting
from animix.pairs.data_set import DataSet
from animix.pairs.layout import Layout
from animix.pairs.moment import Moment, moment_of_networks, read_ranges
from animix.pairs.order import Order
from animix.pairs.painter import Pair, paint_pairs
from animix.pairs.picture_file import PictureFormat
from animix.pairs.subject import Seeds, cells_of
from animix.pairs.writers import write_whole
from animix.video.settings import num_cores

DEMO = Path(animix.__file__).parent / "demo"
FORMATS = (PictureFormat("png"), PictureFormat("jpeg"), PictureFormat("webp"))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, help="configuration F of this many pixels")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()

    device = choose_device(options.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [DEMO / "base.safetensors", DEMO / "relief-4.safetensors"]
        if options.side:
            files = [folder / "base.safetensors", folder / "other.safetensors"]
            for seed, file in enumerate(files):
                random_network(
                    file,
                    img_resolution=options.side,
                    channel_base=32768,
                    channel_max=512,
                    w_dim=512,
                    seed=seed,
                )
        moment = moment_of_networks(files, read_ranges(1, swap=["16"]), device=str(device))
        found = measure(moment, options.count, options.runs, folder)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    results = options.results / f"pairs-{device.type}.json"
    report = json.loads(results.read_text()) if results.exists() else {"results": {}}
    report |= {"device": name, "cores": num_cores(), "animix": animix.__version__}
    side = moment.film.engine.facts.img_resolution
    title = f"configuration F, {side} px" if options.side else f"the demo's networks, {side} px"
    report["results"][title] = found
    text = json.dumps(report, indent=2) + "\n"
    results.write_text(text, encoding="utf-8")
    print(text)


def measure(moment: Moment, count: int, num_runs: int, folder: Path) -> dict[str, object]:
    """Milliseconds a picture of each part, and pictures a second of the whole."""
    pictures = 2 * count
    painted = all_pairs(moment, count)  # compiled and in memory from here on
    generation = best(num_runs, lambda: generate(moment, count))
    on_host = best(num_runs, lambda: deque(all_pairs(moment, count), maxlen=0))
    found: dict[str, object] = {
        "pairs": count,
        "generation_ms": milliseconds(generation, pictures),
        "generation_and_transfer_ms": milliseconds(on_host, pictures),
    }
    sides = [side for pair in painted for side in (pair.a, pair.b)]
    for picture_format in FORMATS:
        found[picture_format.name] = of_format(
            moment, sides, picture_format, count, num_runs, folder
        )
    return found


def of_format(
    moment: Moment,
    sides: list[NDArray[np.uint8]],
    picture_format: PictureFormat,
    count: int,
    num_runs: int,
    folder: Path,
) -> dict[str, object]:
    """The parts of encoding and writing, and the whole command's work, for one format."""
    encode = picture_format.encode
    contents = [encode(side) for side in sides]
    target = folder / "written"
    target.mkdir(exist_ok=True)
    jobs = list(enumerate(contents))

    def in_pool(pool: Executor) -> None:
        deque(pool.map(encode, sides, chunksize=4), maxlen=0)

    alone = best(num_runs, lambda: [encode(side) for side in sides])
    with ThreadPoolExecutor(num_cores()) as threads:
        threaded = best(num_runs, lambda: in_pool(threads))
    with ProcessPoolExecutor(num_cores(), get_context("spawn")) as processes:
        in_pool(processes)
        forked = best(num_runs, lambda: in_pool(processes))
    writing = best(
        num_runs, lambda: [write_whole(target / str(number), text) for number, text in jobs]
    )
    found: dict[str, object] = {
        "kilobytes": round(statistics.mean(map(len, contents)) / 1000, 1),
        "encoding_ms": milliseconds(alone, len(sides)),
    }
    if picture_format.name == "png":
        pillow = best(num_runs, lambda: [by_pillow(side) for side in sides])
        size = statistics.mean(len(by_pillow(side)) for side in sides)
        found |= {
            "pillow_kilobytes": round(size / 1000, 1),
            "pillow_ms": milliseconds(pillow, len(sides)),
        }
    rates, waits, stages = [], [], {}
    for run in range(num_runs):
        order = Order(count=count, layout=Layout(), picture_format=picture_format)
        data_set = DataSet(moment, Seeds(), folder / f"{picture_format.name}-{run}", order)
        last = deque(data_set.make(), maxlen=1)[0]
        rates.append(last.per_second)
        waits.append(last.slowest_stage)
        stages = {name: round(seconds, 3) for name, seconds in last.stage_seconds.items()}
    return {
        **found,
        "encoding_in_threads_ms": milliseconds(threaded, len(sides)),
        "encoding_in_processes_ms": milliseconds(forked, len(sides)),
        "writing_ms": milliseconds(writing, len(sides)),
        "pictures_a_second": round(max(rates), 1),
        "slowest": waits[-1],
        "waited_seconds": stages,
    }


def by_pillow(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG as Pillow writes it fastest."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def all_pairs(moment: Moment, count: int) -> list[Pair]:
    """Pairs on the host."""
    size = moment.film.engine.batch_size
    cells = paint_pairs(moment, Seeds(), cells_of(range(count), size))
    return [pair for pairs in cells for pair in pairs]


def generate(moment: Moment, count: int) -> None:
    """Paint pairs and leave them where they are."""
    engine = moment.film.engine
    subjects = Seeds()
    with painting(engine.device):
        for cell in cells_of(range(count), engine.batch_size):
            rows = [moment.rows(subjects.at(number)) for number in cell]
            for side in zip(*rows, strict=True):
                engine.pictures(side)
        if engine.device.type == "cuda":
            torch.cuda.synchronize(engine.device)


def best(num_runs: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs."""
    return min(map(partial(timed, work), range(num_runs)))


def timed(work: Callable[[], object], _: int) -> float:
    """Seconds of one run."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def milliseconds(seconds: float, pictures: int) -> float:
    """Of one picture."""
    return round(1000 * seconds / pictures, 3)


if __name__ == "__main__":
    main()
