"""Reads a pickle as plain data: a call in it becomes a record and is never made.

A pickle is a small program for a stack machine, and Python's own machine calls whatever the
program names. This one has no way to call or to import anything, and both the number of its steps
and the work of each are bounded, so the worst that a pickle can do is to be refused.
"""

from __future__ import annotations

import os
import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, cast

from animix.errors import NetworkError


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names: ``collections.OrderedDict``."""

    full: str


@dataclass(eq=False)
class Record:
    """A call that a pickle asks for: what would be called, with what, and the state set after."""

    name: str
    args: tuple[Any, ...]
    state: object = None


DICTS = ("collections.OrderedDict", "dnnlib.util.EasyDict")
SETS = ("builtins.set", "builtins.frozenset")

KEYS = (str, int, float, bool, type(None))
"""What may be a key. Hashing a tuple nested a hundred times in itself would never end."""


MAX_STEPS = 500_000
"""Ten times as many as a training snapshot of 1024 px takes; about a second."""

MAX_LINE = 4096
"""Bytes; only names and the small numbers of old protocols stand in lines."""

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
"""The first number of a file written by torch.save before it wrote zip files."""


def read_pickle(
    file: BinaryIO,
    allowed: Collection[str] = (),
    persistent: Callable[[object], object] | None = None,
    max_steps: int = MAX_STEPS,
) -> object:
    """The data of one pickle; the file is left standing behind it.

    Dictionaries and sets of any kind come as dict and list, every other call as a Record.
    ``allowed`` are the names that may occur, apart from those; ``persistent`` gives the object for
    the key of one that is stored elsewhere (None: there must be none). NetworkError for any other
    name, for more than ``max_steps`` instructions and for anything damaged.
    """
    machine = _Machine({*allowed, *DICTS, *SETS}, persistent)
    # genops asks for no more of a file than these two methods.
    tape = cast("IO[bytes]", _Tape(file))
    try:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(tape)):
            if step == max_steps:
                raise NetworkError(f"the pickle takes more than {max_steps} steps")
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as exc:
        raise NetworkError("the pickle is damaged or cut short") from exc
    return value


class _Tape:
    """The rest of a file, which gives what it has or nothing: a size that lies costs nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        start = file.tell()
        self.left = file.seek(0, os.SEEK_END) - start
        file.seek(start)

    def read(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("cut short")
        self.left -= count
        return self.file.read(count)

    def readline(self) -> bytes:
        line = self.file.readline(MAX_LINE)
        self.left -= len(line)
        return line


@dataclass
class _Machine:
    """The stack machine, without any instruction that calls or imports."""

    allowed: Collection[str]
    persistent: Callable[[object], object] | None
    stack: list[Any] = field(default_factory=list)
    outer: list[list[Any]] = field(default_factory=list)
    """The stacks under the marks that were set and not yet taken."""
    memo: dict[int, Any] = field(default_factory=dict)

    def step(self, opcode: str, argument: Any) -> None:
        # Products and hashes of numbers without bounds take time without bounds.
        if isinstance(argument, int) and argument.bit_length() > 64 and argument != TORCH_MAGIC:
            raise NetworkError("the pickle has a number of more than 64 bits")
        if opcode in _IGNORED:
            return
        if opcode in _LITERALS:
            self.push(argument)
        elif opcode in _CONSTANTS:
            self.push(_CONSTANTS[opcode]())
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        else:
            raise NetworkError(f"the pickle has the instruction {opcode}, which no network needs")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def marked(self) -> list[Any]:
        """Take what lies above the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def name(self, module: str, attribute: str) -> None:
        full = f"{module}.{attribute}"
        if full not in self.allowed:
            raise UnknownName(full)
        self.push(Name(full))

    def call(self, args: tuple[Any, ...]) -> None:
        called = self.stack.pop()
        if not isinstance(called, Name) or not isinstance(args, tuple):
            raise TypeError("only names are called")
        if called.full in DICTS and not args:
            self.push({})
        elif called.full in SETS:
            # The list itself: copies of a long one would soon fill the memory.
            self.push(args[0] if args and isinstance(args[0], list) else [])
        else:
            self.push(Record(called.full, args))

    def build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Record):
            self.stack[-1].state = state

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, KEYS):
                raise TypeError("a key that is not simple")
            if not isinstance(target, dict):
                raise TypeError("items of what is not a dictionary")
            target[key] = value

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("items of what is not a list")
        self.stack[-1].extend(items)

    def tuple_of(self, count: int) -> None:
        items = self.stack[len(self.stack) - count :]
        if len(items) != count:
            raise IndexError("fewer items than the tuple takes")
        del self.stack[len(self.stack) - count :]
        self.push(tuple(items))

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def dictionary(self) -> None:
        pairs = self.marked()
        self.push({})
        self.set_items(pairs)

    def stack_global(self) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise TypeError("a name that is not text")
        self.name(module, attribute)

    def persistent_id(self) -> None:
        if self.persistent is None:
            raise NetworkError("the pickle refers to objects stored elsewhere")
        self.push(self.persistent(self.stack.pop()))


class UnknownName(NetworkError):
    """A pickle names a class or function that no network needs."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"the pickle asks for {name[:200]}, which no network needs; nothing in it was run"
        )


_IGNORED = ("PROTO", "FRAME", "STOP")
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_ACTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.stack.pop() if m.stack else m.marked(),
    "POP_MARK": lambda m, _: m.marked(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "PUT": lambda m, index: m.memo.__setitem__(index, m.stack[-1]),
    "BINPUT": lambda m, index: m.memo.__setitem__(index, m.stack[-1]),
    "LONG_BINPUT": lambda m, index: m.memo.__setitem__(index, m.stack[-1]),
    "MEMOIZE": lambda m, _: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    "GET": lambda m, index: m.push(m.memo[index]),
    "BINGET": lambda m, index: m.push(m.memo[index]),
    "LONG_BINGET": lambda m, index: m.push(m.memo[index]),
    "TUPLE": lambda m, _: m.push(tuple(m.marked())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "LIST": lambda m, _: m.push(m.marked()),
    "APPEND": lambda m, _: m.extend([m.stack.pop()]),
    "APPENDS": lambda m, _: m.extend(m.marked()),
    "ADDITEMS": lambda m, _: m.extend(m.marked()),
    "FROZENSET": lambda m, _: m.push(m.marked()),
    "DICT": lambda m, _: m.dictionary(),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.marked()),
    "GLOBAL": lambda m, name: m.name(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.stack_global(),
    "REDUCE": lambda m, _: m.call(m.stack.pop()),
    "NEWOBJ": lambda m, _: m.call(m.stack.pop()),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.persistent_id(),
}
