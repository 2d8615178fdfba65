"""Shorter ways to the same numbers on a CPU: what the tape puts in place of an operation it has seen.

Usage: `shortcuts = Shortcuts(is_constant)`; `call, args, kwargs = shortcuts.of(func, args, kwargs)`, and
`shortcuts.of_doubled(source, picture, weight, ...)` for a convolution over `picture`, twice as large as `source`.
Dreamer process; torch.

- oneDNN with weights packed once instead of at every call: 1.3 to 3 times quicker in bfloat16; in float32 only where
  torch would take a convolution of its own, for the smallest pictures.
- A 3x3 convolution over a picture just doubled in size sees every value up to four times. Four 2x2 convolutions over
  the small picture, one for each of the four new pixels, give the same with 4/9 of the multiplications.
- Group norm in bfloat16 where torch's own is slow.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Call = tuple[Any, tuple[Any, ...], dict[str, Any]]

_SMALL_PX = 1024  # pictures of up to 32x32; see _is_slow_group_norm
# Weights of up to so many numbers are packed in float32 too. Larger ones gain nothing, and all of a large network's
# would lie in memory twice while it is recorded.
_SMALL_WEIGHT = 600_000
_last = torch.channels_last


class Shortcuts:
    """The ways, and the weights packed for them. is_constant: whether a tensor is the same in every play."""

    def __init__(self, is_constant: Callable[[Tensor], bool]) -> None:
        self._is_constant = is_constant
        self._packed: dict[Any, Tensor] = {}  # a weight is packed once, however many steps use it

    def of(self, func: Any, args: Any, kwargs: Any) -> Call:
        """The same operation by a shorter way, if there is one."""
        x = args[0] if args else None
        if not isinstance(x, Tensor) or not _is_for_onednn(x) or (kwargs and func is not F.group_norm):
            return func, args, kwargs
        if func is F.conv2d and self._is_weight(args[1], x):
            return self._conv(*args)
        if func is F.linear and x.dtype == torch.bfloat16 and self._is_weight(args[1], x):
            return self._linear(*args)
        if func is F.group_norm and _is_slow_group_norm(x):
            return self._norm(*args, **kwargs)
        return func, args, kwargs

    def of_doubled(
        self, source: Any, picture: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Call | None:  # fmt: skip
        """F.conv2d(picture, weight, ...) from what the picture was before it was doubled; None if that cannot be."""
        b, c, h, w = picture.shape
        where = () if isinstance(padding, str) else (_pair(padding), _pair(stride), _pair(dilation), groups)
        if where != ([1, 1], [1, 1], [1, 1], 1) or tuple(weight.shape[2:]) != (3, 3) or c == 1:
            return None
        if not (_is_for_onednn(picture) and picture.is_contiguous(memory_format=_last) and self._is_constant(weight)):
            return None
        shape = [b, c, h // 2, w // 2]
        packed = self._pack(weight, f"doubled {shape}", lambda t: _packed(_fold(t), shape, *where))
        biases = None if bias is None else self._pack(bias, "doubled", lambda t: t.repeat(4))
        return _conv_of_doubled, (source, packed, biases, (b, weight.shape[0], h // 2, w // 2)), {}

    def _is_weight(self, weight: Tensor, x: Tensor) -> bool:
        """Whether this is a weight worth packing."""
        light = x.dtype == torch.bfloat16 or weight.numel() <= _SMALL_WEIGHT
        return self._is_constant(weight) and weight.dtype == x.dtype and light

    def _pack(self, weight: Tensor, key: Any, pack: Callable[[Tensor], Tensor]) -> Tensor:
        full_key = (id(weight), key)
        if full_key not in self._packed:
            self._packed[full_key] = pack(weight.detach())
        return self._packed[full_key]

    def _conv(
        self, x: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1,
    ) -> Call:  # fmt: skip
        if isinstance(padding, str):
            return F.conv2d, (x, weight, bias, stride, padding, dilation, groups), {}
        where = (_pair(padding), _pair(stride), _pair(dilation), groups)
        shape = list(x.shape)
        packed = self._pack(weight, str((shape, where)), lambda w: _packed(w, shape, *where))
        return _convolution, (x, packed, bias, *where, "none", [], ""), {}

    def _linear(self, x: Tensor, weight: Tensor, bias: Any = None) -> Call:
        rows = x.numel() // x.shape[-1]
        packed = self._pack(weight, rows, lambda w: torch.ops.mkldnn._reorder_linear_weight(w, rows))
        return torch.ops.mkldnn._linear_pointwise.default, (x, packed, bias, "none", [], ""), {}

    def _norm(self, x: Tensor, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Call:
        if weight is None or bias is None:
            return F.group_norm, (x, groups, weight, bias, eps), {}
        scale, shift = (self._pack(t, "float32", lambda w: w.float()) for t in (weight, bias))
        return _group_norm, (x, groups, scale, shift, eps), {}


def is_doubling(func: Any, args: Any, kwargs: Any, result: Any) -> bool:
    """Whether this call made every pixel of (B, C, h, w) into two by two."""
    if func is not F.interpolate or not args or args[0].dim() != 4:
        return False
    mode = kwargs.get("mode", args[3] if len(args) > 3 else "nearest")
    b, c, h, w = args[0].shape
    return mode == "nearest" and tuple(result.shape) == (b, c, 2 * h, 2 * w)


def _fold(weight: Tensor) -> Tensor:
    """(O, I, 3, 3) to (4·O, I, 2, 2): the 3x3 as it falls on the small picture, for the upper left, upper right,
    lower left and lower right of the four pixels that a small one becomes."""

    def halves(taps: tuple[Tensor, ...]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        first, middle, last = taps  # a first pixel's middle and last tap fall on its own source, a second's first two
        return (first, middle + last), (first + middle, last)

    parts = []
    for rows in halves(weight.float().unbind(2)):  # (O, I, 3) twice
        for columns in halves(torch.stack(rows, 2).unbind(3)):  # (O, I, 2) twice
            parts.append(torch.stack(columns, 3))  # (O, I, 2, 2)
    return torch.cat(parts).to(weight.dtype)


def _conv_of_doubled(x: Tensor, packed: Tensor, bias: Tensor | None, shape: tuple[int, int, int, int]) -> Tensor:
    """x (B, I, h, w), channels last; shape (B, O, h, w) -> (B, O, 2h, 2w), channels last."""
    b, c, h, w = shape
    four = _convolution(x, packed, bias, [1, 1], [1, 1], [1, 1], 1, "none", [], "")  # (B, 4·O, h+1, w+1)
    out = torch.empty((b, c, 2 * h, 2 * w), dtype=x.dtype, memory_format=_last)
    by_pixel = out.permute(0, 2, 3, 1).view(b, h, 2, w, 2, c)
    # A lower pixel is found one row further down in `four`, a right one a column further on. Both rows in one copy.
    pixel = 4 * c
    row = (w + 1) * pixel
    for right in (0, 1):
        pair = four.as_strided((b, h, 2, w, c), ((h + 1) * row, row, row + 2 * c, pixel, 1), right * (pixel + c))
        by_pixel[:, :, :, :, right].copy_(pair)
    return out


def _packed(weight: Tensor, shape: list[int], *where: Any) -> Tensor:
    """A convolution's weight as oneDNN has it for inputs of one shape. where: padding, stride, dilation, groups."""
    reorder = torch._C._nn.mkldnn_reorder_conv2d_weight
    return reorder(weight.contiguous(memory_format=_last).to_mkldnn(), *where, shape)


def _convolution(*args: Any) -> Tensor:
    # Looked up when it is called: a torch built without oneDNN has none.
    return torch.ops.mkldnn._convolution_pointwise.default(*args)


def _is_for_onednn(x: Tensor) -> bool:
    """Whether oneDNN computes in this tensor's precision here: not every processor does in bfloat16."""
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    in_bfloat16 = x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return in_bfloat16 or x.dtype == torch.float32


def _group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Group norm in float32: torch's own for channels-last bfloat16 is 2 to 6 times slower where it is used."""
    return torch.group_norm(x.float(), groups, weight, bias, eps).to(x.dtype)


def _is_slow_group_norm(x: Tensor) -> bool:
    last = x.dtype == torch.bfloat16 and x.dim() == 4 and x.is_contiguous(memory_format=_last)
    return last and (x.shape[1] < 16 or x.shape[2] * x.shape[3] <= _SMALL_PX)


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)
