"""Mixes the weights of networks: layer by layer, one coefficient per (layer, network)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from animix.errors import BlendError
from animix.networks.facts import Layer, show_shape
from animix.networks.network import Array, Network
from animix.networks.shapes import mapping_depth
from animix.networks.stylegan2 import resample_filter

SUM_TOLERANCE = 1e-6

MAGNITUDE = ".magnitude_ema"
"""The end of the names of StyleGAN3's magnitudes."""


def blend(networks: Sequence[Network], mix: Array | Sequence[object]) -> Network:
    """The network whose every layer is the sum of the networks' layers times their shares.

    ``mix`` is [L, K], the share of network k in layer l, or [K], the same in every layer. Each
    row sums to 1; negative shares extrapolate. Mapping, w_avg, noise images and filters are the
    first network's, and so are StyleGAN3's frequencies, phases and transform.

    BlendError: networks of other shapes, a mix that does not fit them, or numbers that float32
    can't hold.
    """
    if not networks:
        raise BlendError("there is no network to blend, expected at least one")
    base = networks[0]
    for number, other in enumerate(networks[1:], start=2):
        check_blendable(base, other, ("network 1", f"network {number}"))
    rows = checked_mix(mix, len(base.layers), len(networks))
    mixed = mix_tensors([n.to(base.device) for n in networks], rows)
    _check_usable(mixed)
    return base.with_tensors(mixed)


def _check_usable(mixed: Mapping[str, Tensor]) -> None:
    """Raise BlendError for numbers that no picture can be made from."""
    for name, tensor in mixed.items():
        if not bool(torch.isfinite(tensor).all()):
            raise BlendError(
                f"{name} of the blend has numbers too large for float32; take shares nearer to "
                "0 … 1"
            )
        if name.endswith(MAGNITUDE) and not float(tensor) > 0:
            raise BlendError(
                f"{name} of the blend is a magnitude too small for float32 (0, expected above "
                "it); take shares nearer to 0 … 1"
            )


def checked_mix(
    mix: Array | Sequence[object], num_layers: int, num_networks: int
) -> npt.NDArray[np.float64]:
    """A mix as [L, K] float64 whose rows sum to 1, or raise BlendError.

    >>> checked_mix([0.25, 0.75], num_layers=2, num_networks=2)
    array([[0.25, 0.75],
           [0.25, 0.75]])
    """
    try:
        rows = np.asarray(mix.cpu() if isinstance(mix, Tensor) else mix, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise BlendError("the mix is not a table of numbers") from exc
    expected = f"[{num_layers}, {num_networks}] (layers, networks) or [{num_networks}]"
    if rows.shape not in ((num_layers, num_networks), (num_networks,)):
        raise BlendError(f"the mix is {list(rows.shape)}, expected {expected}")
    rows = np.broadcast_to(rows, (num_layers, num_networks))
    sums = rows.sum(axis=1)
    # Written so that a sum that is not a number is caught as well.
    wrong = ~(np.abs(sums - 1) <= SUM_TOLERANCE)
    if wrong.any():
        layer = int(np.flatnonzero(wrong)[0])
        raise BlendError(f"the mix sums to {sums[layer]:.7g} in layer {layer}, expected 1")
    return rows


@torch.no_grad()
def mix_tensors(
    networks: Sequence[Network],
    mix: npt.NDArray[np.float64],
    out: dict[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """The tensors of all layers, mixed by the checked ``mix`` [L, K].

    StyleGAN3's magnitudes (``magnitude_ema``) are factors, so they are mixed in their logarithm.
    ``out``, from ``mix_buffers``, is written into instead of new memory: for renderers, which mix
    at every frame. Where one network has the share 1, its own tensor is returned, uncopied.
    """
    # Products and sums are rounded one by one. `add_(tensor, alpha=share)` saves a pass, but
    # whether it rounds once or twice depends on where in memory a number lies and on how many
    # threads work, so frames would differ in their last bits from machine to machine. Two networks
    # of 256 px (22 MB each) take 4.5 ms so, on 2 cores.
    mixed: dict[str, Tensor] = {}
    for layer, shares in zip(networks[0].layers, mix.tolist(), strict=True):
        active = [(n, share) for n, share in zip(networks, shares, strict=True) if share != 0]
        (first, first_share), *others = active
        for name in layer.tensors:
            if not others and first_share == 1:
                mixed[name] = first.tensors[name]
                continue
            factors = name.endswith(MAGNITUDE)
            parts = [n.tensors[name].log() if factors else n.tensors[name] for n, _ in active]
            total = torch.mul(parts[0], first_share, out=out[name] if out else None)
            for part, (_, share) in zip(parts[1:], others, strict=True):
                total.add_(part * share)
            mixed[name] = total.exp_() if factors else total
    return mixed


def mix_buffers(network: Network) -> dict[str, Tensor]:
    """Memory for the layers of a mix with this network as its base."""
    names = [name for layer in network.layers for name in layer.tensors]
    return {name: torch.empty_like(network.tensors[name]) for name in names}


def with_mapping(base: Network, mapping: Network) -> Network:
    """The base with the mapping, w_avg and noise images of another network that it blends with."""

    def moves(name: str) -> bool:
        return name.startswith("mapping.") or name.endswith(".noise_const")

    tensors = {name: tensor for name, tensor in base.tensors.items() if not moves(name)}
    tensors |= {name: tensor for name, tensor in mapping.tensors.items() if moves(name)}
    parameters = base.facts.num_parameters
    parameters += _mapping_parameters(mapping) - _mapping_parameters(base)
    facts = replace(base.facts, z_dim=mapping.z_dim, c_dim=mapping.c_dim, num_parameters=parameters)
    return replace(base, facts=facts, tensors=tensors)


def _mapping_parameters(network: Network) -> int:
    trained = [n for n in network.tensors if n.startswith("mapping.") and n != "mapping.w_avg"]
    return sum(network.tensors[name].numel() for name in trained)


def check_blendable(
    base: Network, other: Network, names: tuple[str, str] = ("the first", "the other")
) -> None:
    """Raise BlendError, with both shapes and the likely cause, if two networks can't be mixed."""
    first, second = names
    start = f"{first} and {second} can't be mixed: "
    for what, mine, theirs in (
        ("the architecture {}", base.facts.kind, other.facts.kind),
        ("pictures of {} px", base.img_resolution, other.img_resolution),
        ("the architecture {}", base.facts.architecture, other.facts.architecture),
        ("{} numbers in a w", base.w_dim, other.w_dim),
        ("{} layers", len(base.layers), len(other.layers)),
    ):
        if mine != theirs:
            raise BlendError(
                f"{start}{first} has {what.format(mine)}, {second} {what.format(theirs)}; "
                "networks mix if one was fine-tuned from the other or both from a third"
            )
    if base.facts.plan != other.facts.plan:
        raise BlendError(
            f"{start}their layers have other sampling rates, margins, kernels or filters; "
            "networks mix if one was fine-tuned from the other or both from a third"
        )
    # Layers are matched by their number: StyleGAN3 writes sizes and channels into their names.
    for mine_layer, their_layer in zip(base.layers, other.layers, strict=True):
        mine_parts, their_parts = _parts(base, mine_layer), _parts(other, their_layer)
        for part in sorted({*mine_parts, *their_parts}):
            if part not in mine_parts or part not in their_parts:
                has, lacks = names if part in mine_parts else (second, first)
                name = mine_parts.get(part) or their_parts[part]
                raise BlendError(
                    f"{start}{has} has the tensor {name}, {lacks} does not; "
                    "probably one was trained without noise (use_noise)"
                )
            mine_name, their_name = mine_parts[part], their_parts[part]
            expected, found = base.tensors[mine_name].shape, other.tensors[their_name].shape
            if found != expected:
                called = "" if their_name == mine_name else f"{their_name} is "
                raise BlendError(
                    f"{start}{mine_name} is {show_shape(expected)} in {first}, {called}"
                    f"{show_shape(found)} in {second}; probably they were trained with different "
                    f"numbers of channels (channel base: {_channel_base(base)} and "
                    f"{_channel_base(other)}; many configurations for 256 px have half of the "
                    "usual 32768)"
                )


def _parts(network: Network, layer: Layer) -> dict[str, str]:
    """The names of a layer's tensors by what stands after the layer's own name.

    What a StyleGAN2 block owns beside its layers (``torgb``, ``skip``) keeps its full name.
    """
    own = f"synthesis.{layer.name}"
    return {name.removeprefix(own): name for name in layer.tensors}


def _channel_base(network: Network) -> int:
    """The published setting that the number of channels follows: those at full size × pixels."""
    last = f"synthesis.{network.layers[-1].name}.weight"
    coloured = network.facts.kind == "stylegan3"
    return int(network.tensors[last].shape[1 if coloured else 0]) * network.img_resolution


def mapping_differences(base: Network, other: Network) -> list[str]:
    """What differs between two mapping networks; no hindrance, for one mapping is used."""
    return [
        f"{what}: {mine} and {theirs}"
        for what, mine, theirs in (
            ("mapping layers", mapping_depth(base.tensors), mapping_depth(other.tensors)),
            ("numbers in a z", base.z_dim, other.z_dim),
            ("numbers in a label", base.c_dim, other.c_dim),
        )
        if mine != theirs
    ]


def setting_differences(base: Network, other: Network) -> list[str]:
    """What differs in how two networks compute; no hindrance, for a blend computes as its base."""
    clamps = [
        "none" if network.facts.conv_clamp is None else f"±{network.facts.conv_clamp:g}"
        for network in (base, other)
    ]
    differences = []
    if clamps[0] != clamps[1]:
        differences.append(f"the clamp of activations: {clamps[0]} and {clamps[1]}")
    if base.facts.kind == "stylegan2":  # StyleGAN3's filters are of its plan, which must be alike
        mine, theirs = (resample_filter(network.tensors).cpu() for network in (base, other))
        if mine.shape != theirs.shape or not torch.allclose(mine, theirs, atol=1e-5):
            differences.append("the filter that resamples")
    return differences
