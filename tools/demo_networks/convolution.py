"""A convolution whose gradients are convolutions too: for regularisers, differentiated twice.

torch differentiates its own twice as well, by convolutions with a kernel as large as the picture:
of a step with R1 and path lengths (256 px, a batch of 64, on an H200) that took a fifth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Size, Tensor
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_input, conv2d_weight
from torch.overrides import TorchFunctionMode


class GradientsOfActivations(TorchFunctionMode):
    """While it lasts, conv2d is the one below, and ``autograd.grad`` finds no weight's gradient.

    A regulariser differentiates by pictures or ws first, and by the weights after it has ended.

    >>> weight = torch.ones(1, 1, 1, 1, requires_grad=True)
    >>> x = torch.tensor([[[[3.0]]]], requires_grad=True)
    >>> with GradientsOfActivations():
    ...     (slope,) = torch.autograd.grad(conv2d(x, weight).sum(), x, create_graph=True)
    >>> slope.square().sum().backward()
    >>> weight.grad
    tensor([[[[2.]]]])
    """

    lasts = False

    def __enter__(self) -> Any:
        GradientsOfActivations.lasts = True
        return super().__enter__()

    def __exit__(self, *raised: object) -> None:
        GradientsOfActivations.lasts = False
        super().__exit__(*raised)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is conv2d and given.get("groups", 1) == 1:
            x, weight, *bias = args
            y = _Convolution.apply(x, weight, given.get("stride", 1), given.get("padding", 0))
            return y + bias[0][:, None, None] if bias else y
        return func(*args, **given)


class _Convolution(torch.autograd.Function):
    """y [N, O, h, w] of x [N, I, H, W] and a weight [O, I, t, t]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.numbers = stride, padding
        return conv2d(x, weight, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = _ByX.apply(dy, weight, x.shape, *ctx.numbers)
        if ctx.needs_input_grad[1] and not GradientsOfActivations.lasts:
            dw = _ByWeight.apply(x, dy, weight.shape, *ctx.numbers)
        return dx, dw, None, None


class _ByX(torch.autograd.Function):
    """dx of dy and a weight: the transposed convolution."""

    @staticmethod
    def forward(
        ctx: Any, dy: Tensor, weight: Tensor, shape: Size, stride: int, padding: int
    ) -> Tensor:
        ctx.save_for_backward(dy, weight)
        ctx.numbers = stride, padding
        return conv2d_input(shape, weight, dy, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx: Any, ddx: Tensor) -> tuple[Tensor | None, ...]:
        dy, weight = ctx.saved_tensors
        ddy = dw = None
        if ctx.needs_input_grad[0]:
            ddy = _Convolution.apply(ddx, weight, *ctx.numbers)
        if ctx.needs_input_grad[1]:
            dw = _ByWeight.apply(ddx, dy, weight.shape, *ctx.numbers)
        return ddy, dw, None, None, None


class _ByWeight(torch.autograd.Function):
    """dw of x and dy: how much each tap of the kernel took part. It is differentiated no more."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dy: Tensor, shape: Size, stride: int, padding: int) -> Tensor:
        return conv2d_weight(x, shape, dy, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx: Any, ddw: Tensor) -> tuple[Tensor | None, ...]:
        raise NotImplementedError("a weight's gradient is the last one of a regulariser")
