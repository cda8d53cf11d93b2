"""The published implementations, run from checkouts beside animix, and the scripts that users have.

Nothing of them is part of animix. What keeps them from loading on a current torch is mended while
they load: the checkouts stay as they are.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

NUM_FP16_RES = 4
"""As the published training script has it for every configuration with 16-bit layers."""

CONV_CLAMP = 256


@functools.cache
def _mend_imports() -> None:
    """Supply what the checkouts ask for and what is gone since."""
    if importlib.util.find_spec("requests") is None:
        sys.modules["requests"] = types.ModuleType("requests")
    if importlib.util.find_spec("pkg_resources") is None:
        gone = types.ModuleType("pkg_resources")
        gone.parse_version = _version  # type: ignore[attr-defined]  # made here
        sys.modules["pkg_resources"] = gone

    import torch.utils.cpp_extension as extension

    load = extension.load

    def load_under_its_name(name: str, *arguments: Any, **options: Any) -> Any:
        # NVlabs imports what it has built by name, under which torch no longer registers it.
        sys.modules[name] = load(name, *arguments, **options)
        return sys.modules[name]

    extension.load = load_under_its_name


@contextlib.contextmanager
def importing(directory: Path) -> Iterator[None]:
    """Import modules of a checkout."""
    _mend_imports()
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        sys.path.remove(str(directory))


def _version(text: str) -> tuple[int, ...]:
    numbers = text.split("+")[0].split(".")
    return tuple(int("".join(filter(str.isdigit, number[:2])) or 0) for number in numbers[:3])


def nvlabs_generator(
    directory: Path,
    *,
    img_resolution: int,
    channel_base: int = 32768,
    channel_max: int = 512,
    w_dim: int = 512,
    num_fp16_res: int = NUM_FP16_RES,
    seed: int,
) -> nn.Module:
    """A random StyleGAN2 of NVlabs/stylegan3's code, on the CPU, with noise that is heard."""
    with importing(directory):
        from training.networks_stylegan2 import Generator
    torch.manual_seed(seed)
    generator: nn.Module = Generator(
        z_dim=w_dim,
        c_dim=0,
        w_dim=w_dim,
        img_resolution=img_resolution,
        img_channels=3,
        mapping_kwargs={"num_layers": 8},
        channel_base=channel_base,
        channel_max=channel_max,
        num_fp16_res=num_fp16_res,
        conv_clamp=CONV_CLAMP,
    )
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.1)
    return generator.eval().requires_grad_(False)


def rosinality_generator(directory: Path, *, img_resolution: int, seed: int) -> nn.Module:
    """A random StyleGAN2 of rosinality/stylegan2-pytorch's code, on the CPU."""
    with importing(directory):
        from model import Generator
    torch.manual_seed(seed)
    generator: nn.Module = Generator(img_resolution, 512, 8)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise.weight"):
            parameter.data.fill_(0.1)
    return generator.eval().requires_grad_(False)


def save_for_animix(generator: nn.Module, path: Path) -> None:
    """Write an NVlabs generator as safetensors, the very same network."""
    state = {name: tensor.contiguous().cpu() for name, tensor in generator.state_dict().items()}
    save_file(state, path, {"conv_clamp": str(CONV_CLAMP)})


Paint = Callable[[nn.Module, Tensor], Tensor]
"""A generator's pictures of ws."""


def paint_nvlabs(generator: nn.Module, ws: Tensor) -> Tensor:
    """As gen_video.py does."""
    picture: Tensor = generator.synthesis(ws, noise_mode="const")  # type: ignore[operator]  # their module
    return picture


def paint_rosinality(generator: nn.Module, ws: Tensor) -> Tensor:
    """As its generate.py does, with fixed noise."""
    picture: Tensor = generator([ws], input_is_latent=True, randomize_noise=False)[0]
    return picture


def lerp_and_load(
    generators: list[nn.Module], paint: Paint, ws: list[Tensor]
) -> Callable[[int], Tensor]:
    """The script that everybody has: mix the state dicts, load them, paint one picture."""
    one, other = (dict(generator.state_dict()) for generator in generators[:2])
    target = generators[2]

    def frame(index: int) -> Tensor:
        alpha = (index % 64) / 64
        target.load_state_dict({name: torch.lerp(one[name], other[name], alpha) for name in one})
        return paint(target, ws[index % len(ws)])

    return frame


def lerp_in_place(
    generators: list[nn.Module], paint: Paint, ws: list[Tensor]
) -> Callable[[int], Tensor]:
    """The same by somebody who knows torch well: straight into the parameters."""
    one, other, target = (list(generator.parameters()) for generator in generators)

    def frame(index: int) -> Tensor:
        alpha = (index % 64) / 64
        for a, b, mixed in zip(one, other, target, strict=True):
            torch.lerp(a, b, alpha, out=mixed)
        return paint(generators[2], ws[index % len(ws)])

    return frame


def as_it_is(
    generators: list[nn.Module], paint: Paint, ws: list[Tensor]
) -> Callable[[int], Tensor]:
    """No re-blending at all."""

    def frame(index: int) -> Tensor:
        return paint(generators[0], ws[index % len(ws)])

    return frame


def pictures_per_second(frame: Callable[[int], Tensor], seconds: float) -> float:
    """The median of five measurements that together take some seconds."""
    with torch.inference_mode():
        for index in range(3):
            batch = len(frame(index))
        _wait()
        rates = []
        for _ in range(5):
            started, done = time.perf_counter(), 0
            while done < 3 or time.perf_counter() - started < seconds / 5:
                frame(done)
                done += 1
                if done % 8 == 0:
                    _wait()
            _wait()
            rates.append(batch * done / (time.perf_counter() - started))
    return statistics.median(rates)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def nvlabs_fp16_error(generator: nn.Module, ws: Tensor) -> float:
    """‖16-bit − float32‖ / ‖float32‖ of NVlabs' own pictures."""
    with torch.inference_mode():
        found = paint_nvlabs(generator, ws).double()
        expected = generator.synthesis(  # type: ignore[operator]  # their module
            ws, noise_mode="const", force_fp32=True
        ).double()
    return float((found - expected).norm() / expected.norm())


def gen_video_rate(directory: Path, generator: nn.Module, mp4: Path, num_seconds: int = 2) -> float:
    """Frames a second of NVlabs' gen_video.py from w to mp4, as it comes: medium, 12 Mbit/s."""
    with importing(directory):
        from gen_video import gen_interp_video

    def make(num_frames: int) -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            gen_interp_video(
                generator, str(mp4), seeds=[1, 2], w_frames=num_frames // 2, bitrate="12M"
            )
        return num_frames / (time.perf_counter() - started)

    make(4)  # its kernels are compiled
    return make(60 * num_seconds)
