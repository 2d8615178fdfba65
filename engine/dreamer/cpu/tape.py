"""A network run written down once and played back: the same arithmetic without the Python around it.

Usage: `fast = tape.record(function, examples)`; `fast(*tensors)` then does what `function` did, or
`fast` is None when that cannot be had. Dreamer process; torch.

Small models spend more time in Python, in time embeddings that never change and in repacking weights than in
arithmetic. The shapes of a show never change, so one run under a TorchFunctionMode yields every operation in
order. Then: what depends on no input is a constant (schedule, time embeddings); what was computed before is
not computed again (keys and values of the text, the same in every step); and on a CPU some operations have a shorter
way (shortcuts.py). The recording is played against the function on other numbers before it is trusted.
"""

import logging
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from engine.dreamer.cpu.shortcuts import Call, Shortcuts, is_doubling

log = logging.getLogger(__name__)

# Answers that depend on numbers in a tensor: Python may branch on them, which a recording cannot.
_READS = frozenset(
    {
        Tensor.item,
        Tensor.tolist,
        Tensor.numpy,
        Tensor.__bool__,
        Tensor.__int__,
        Tensor.__float__,
        Tensor.__index__,
        torch.equal,
        torch.allclose,
    }
)


_DIVISIONS = frozenset({Tensor.div, Tensor.__truediv__, torch.div})


class Unrecordable(Exception):
    """The function did something a recording cannot repeat."""


class _Slot(int):
    """The number of a value on the tape, in place of the value itself."""


class _Recorder(TorchFunctionMode):
    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.lines: list[tuple[int, Any, tuple[Any, ...], dict[str, Any]]] = []  # (result slot, call, args, kwargs)
        # Values are known by id() while they live, and not kept alive: all of a large decoder's at once would
        # not fit. Constants are kept, as they are part of what is recorded.
        self._slots: dict[int, _Slot] = {}
        self._watched: dict[int, weakref.ref[Tensor]] = {}
        self._constants: list[Tensor] = []
        for i, t in enumerate(inputs):
            self._name(t, _Slot(i))
        self._count = len(inputs)
        self._known: dict[Any, list[_Slot]] = {}
        self._shortcuts = Shortcuts(lambda t: id(t) not in self._slots)
        self._doubled: dict[_Slot, Any] = {}  # slot of a picture just doubled in size -> what it was made of

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [x for x in _leaves((args, kwargs)) if isinstance(x, Tensor)]
        versions = [t._version for t in tensors]
        result = func(*args, **kwargs)
        if any(t._version != v for t, v in zip(tensors, versions, strict=True)):
            raise Unrecordable(f"{func.__name__} writes into its argument")
        if any(id(t) in self._slots for t in tensors):
            if func in _READS:
                raise Unrecordable(f"{func.__name__} reads a number")
            self._note(func, args, kwargs, result)
        return result

    def _name(self, value: Tensor, slot: _Slot) -> None:
        key = id(value)

        def forget(_: object) -> None:
            del self._slots[key], self._watched[key]

        self._slots[key], self._watched[key] = slot, weakref.ref(value, forget)

    def slot(self, value: Any) -> Any:
        """Slots for the tensors that depend on an input, in the place they have in `value`."""
        if isinstance(value, Tensor):
            return self._slots.get(id(value), value)
        if isinstance(value, (tuple, list)):
            return type(value)(self.slot(v) for v in value)
        if isinstance(value, slice):
            return slice(self.slot(value.start), self.slot(value.stop), self.slot(value.step))
        if isinstance(value, dict):
            return {k: self.slot(v) for k, v in value.items()}
        return value

    def _note(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        made = [result] if isinstance(result, Tensor) else list(result) if isinstance(result, (tuple, list)) else []
        if not made or not all(isinstance(t, Tensor) for t in made):
            return  # a shape, a type, a device: the same every time
        if all(id(t) in self._slots for t in made):
            return  # an argument handed back as it is (dropout, contiguous, to)
        if func in _DIVISIONS and type(args[1]) in (int, float) and args[1] == 1 and made[0].dtype == args[0].dtype:
            self._name(result, self._slots[id(args[0])])  # the residual blocks' scale, mostly 1
            return
        key = _key((func, self.slot(args), self.slot(kwargs)))
        self._constants += [x for x in _leaves((args, kwargs)) if isinstance(x, Tensor) and id(x) not in self._slots]
        if key in self._known:
            for t, known in zip(made, self._known[key], strict=True):
                self._name(t, known)
            return
        call, call_args, call_kwargs = self._shorter(func, args, kwargs)
        first = self._count
        whole = isinstance(result, Tensor)
        self.lines.append((first, call, self.slot(call_args), self.slot(call_kwargs)))
        self._count += 1
        slots = [_Slot(first)]
        if not whole:
            slots = []
            for i in range(len(made)):
                self.lines.append((self._count, _pick, (_Slot(first), i), {}))
                slots.append(_Slot(self._count))
                self._count += 1
        for t, named in zip(made, slots, strict=True):
            self._name(t, named)
        self._known[key] = slots
        if is_doubling(func, args, kwargs, result):
            self._doubled[slots[0]] = self.slot(args[0])

    def _shorter(self, func: Any, args: Any, kwargs: Any) -> Call:
        picture = self.slot(args[0]) if func is F.conv2d and args and not kwargs else None
        if isinstance(picture, _Slot) and picture in self._doubled:
            way = self._shortcuts.of_doubled(self._doubled[picture], *args)
            if way is not None:
                return way
        return self._shortcuts.of(func, args, kwargs)


def record(
    function: Callable[..., Tensor], examples: Sequence[Tensor], other: Sequence[Tensor], precision: torch.dtype
) -> Callable[..., Tensor] | None:
    """`function` as a recording for inputs of just these shapes, or None.

    examples: inputs to record with. other: different inputs of the same shapes to check it with.
    precision: what the function computes in, for how closely the two must agree.
    """
    with torch.no_grad():
        try:
            recorder = _Recorder(examples)
            with recorder:
                result = function(*examples)
        except (Unrecordable, TypeError, RuntimeError) as error:
            # RuntimeError is torch's: a processor without an instruction that packing needs, memory that would
            # hold the pictures but not the recording.
            log.info("not recorded, run as it is: %s", error)
            return None
        out = recorder.slot(result)
        if not isinstance(out, _Slot):
            return None
        played = _compile(recorder.lines, len(examples), out)
        ours, theirs = played(*other), function(*other)
    if not agrees(ours, theirs, precision):
        log.warning("a recording differs from what it recorded, run as it is")
        return None
    return played


def agrees(ours: Tensor, theirs: Tensor, precision: torch.dtype) -> bool:
    """Whether two results differ by no more than rounding: 60 dB in float32, 20 dB in half precision, whose own
    rounding is that coarse on a flat picture. A wrong recording is wrong altogether."""
    spread = float(theirs.float().std()) + 1e-6
    error = float((ours.float() - theirs.float()).square().mean().sqrt())  # NaN compares false
    return ours.shape == theirs.shape and error < (1e-3 if precision == torch.float32 else 1e-1) * spread


def _compile(lines: list[Any], inputs: int, out: _Slot) -> Callable[..., Tensor]:
    """Python source of one straight run, every value dropped after its last use."""
    names: dict[str, Any] = {}
    last: dict[int, int] = {}
    needed = _needed(lines, out)
    for n in needed:
        for leaf in _leaves(lines[n][2:]):
            if isinstance(leaf, _Slot):
                last[leaf] = n
    body = [f"def run({', '.join(f's{i}' for i in range(inputs))}):"]
    for n in needed:
        slot, call, args, kwargs = lines[n]
        names[f"f{n}"] = call
        given = [_source(a, names) for a in args] + [f"{k}={_source(v, names)}" for k, v in kwargs.items()]
        body.append(f" s{slot} = f{n}({', '.join(given)})")
        dead = sorted({int(s) for s in _leaves((args, kwargs)) if isinstance(s, _Slot) and last[s] == n and s != out})
        if dead:
            body.append(f" del {', '.join(f's{s}' for s in dead)}")
    body.append(f" return s{out}")
    exec(compile("\n".join(body), "<tape>", "exec"), names)
    return names["run"]


def _needed(lines: list[Any], out: _Slot) -> list[int]:
    """Numbers of the lines that the result depends on."""
    wanted, kept = {int(out)}, []
    for n in range(len(lines) - 1, -1, -1):
        if lines[n][0] in wanted:
            kept.append(n)
            wanted.update(int(s) for s in _leaves(lines[n][2:]) if isinstance(s, _Slot))
    return kept[::-1]


def _source(value: Any, names: dict[str, Any]) -> str:
    """How a value is written in the source; what cannot be written gets a name."""
    if isinstance(value, _Slot):
        return f"s{int(value)}"
    if type(value) is tuple:
        return f"({''.join(_source(v, names) + ', ' for v in value)})"
    if type(value) is list:
        return f"[{', '.join(_source(v, names) for v in value)}]"
    if type(value) is slice:
        return f"slice({_source(value.start, names)}, {_source(value.stop, names)}, {_source(value.step, names)})"
    if value is None or type(value) in (bool, int, str):
        return repr(value)
    name = f"c{len(names)}"
    names[name] = value
    return name


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [leaf for v in value for leaf in _leaves(v)]
    if isinstance(value, dict):
        return [leaf for v in value.values() for leaf in _leaves(v)]
    if isinstance(value, slice):
        return [leaf for v in (value.start, value.stop, value.step) for leaf in _leaves(v)]
    return [value]


def _key(value: Any) -> Any:
    """Hashable, and equal only for the same call on the same values."""
    if isinstance(value, (tuple, list)):
        return (type(value), *(_key(v) for v in value))
    if isinstance(value, dict):
        return tuple((k, _key(v)) for k, v in sorted(value.items()))
    if isinstance(value, slice):
        return ("slice", _key(value.start), _key(value.stop), _key(value.step))
    if isinstance(value, Tensor):
        return ("tensor", id(value))
    return (type(value), value)


def _pick(values: Sequence[Tensor], i: int) -> Tensor:
    return values[i]
