"""Reads a pickle as plain data: a call in it becomes a record and is never made.

A pickle is a small program for a stack machine, and Python's own machine calls whatever the
program names. This one has no way to call or to import anything, so the worst that a pickle can
do is to be refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from animix.errors import NetworkError


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names: ``collections.OrderedDict``."""

    full: str


@dataclass(frozen=True)
class Persistent:
    """An object that a pickle says is stored elsewhere."""

    key: object


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


def read_pickle(file: BinaryIO, allowed: Collection[str] = (), persistent: bool = False) -> object:
    """Return the data of one pickle; the file is left standing behind it.

    Dictionaries and sets of any kind come as dict and list, every other call as a Record.
    ``allowed`` are the names that may occur, apart from those; ``persistent`` allows references
    to what is stored elsewhere. NetworkError for any other name and for anything damaged.
    """
    machine = _Machine({*allowed, *DICTS, *SETS}, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as exc:
        raise NetworkError("the pickle is damaged or cut short") from exc
    return value


@dataclass
class _Machine:
    """The stack machine, without any instruction that calls or imports."""

    allowed: Collection[str]
    persistent: bool
    stack: list[Any] = field(default_factory=list)
    outer: list[list[Any]] = field(default_factory=list)
    """The stacks under the marks that were set and not yet taken."""
    memo: dict[int, Any] = field(default_factory=dict)

    def step(self, opcode: str, argument: Any) -> None:
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
            self.push([*args[0]] if args else [])
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
        if not self.persistent:
            raise NetworkError("the pickle refers to objects stored elsewhere")
        self.push(Persistent(self.stack.pop()))


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
