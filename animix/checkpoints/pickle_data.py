"""Reads a pickle as plain data: a call in it becomes a record and is never made.

A pickle is a small program for a stack machine, and Python's own machine calls whatever the
program names. This one has no way to call or to import anything, and both the number of its steps
and the work of each are bounded, so the worst that a pickle can do is to be refused. Long literals
are left in the file: of a snapshot of 400 MB, what is read is a few MB.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, BinaryIO

from animix.checkpoints.pickle_tape import MAX_LITERAL, Span, Tape
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
SETS = tuple(f"{m}.{name}" for m in ("builtins", "__builtin__") for name in ("set", "frozenset"))
BYTES = ("__builtin__.bytes", "_codecs.encode")
"""How Python 3 writes bytes in protocol 2, which had none: ``_codecs.encode(text, "latin1")``."""

KEYS = (str, int, float, bool, type(None))
"""What may be a key. Hashing a tuple nested a hundred times in itself would never end."""

MAX_STEPS = 300_000
"""Seven times as many as a training snapshot of 1024 px takes; half a second at the worst."""

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
"""The first number of a file written by torch.save before it wrote zip files."""


def read_pickle(
    file: BinaryIO | Tape,
    allowed: Collection[str] = (),
    persistent: Callable[[object], object] | None = None,
    max_steps: int = MAX_STEPS,
    max_bytes: int = MAX_LITERAL,
) -> object:
    """The data of one pickle; the file, or tape of one, is left standing behind it.

    Dictionaries and sets of any kind come as dict and list, every other call as a Record. Bytes of
    more than ``max_bytes`` and texts of more than ``MAX_LITERAL`` come as a Span of ``file``, which
    ``read_span`` reads.

    >>> import io, pickle
    >>> read_pickle(io.BytesIO(pickle.dumps({"w": (0.5, bytes(4096))}, protocol=4)))
    {'w': (0.5, Span(start=31, size=4096, utf8=False))}
    >>> read_pickle(io.BytesIO(b"cos\\nsystem\\n(S'echo'\\ntR."), allowed=["os.system"])
    Record(name='os.system', args=('echo',), state=None)

    ``allowed`` are the names that may occur, apart from those; ``persistent`` gives the object for
    the key of one that is stored elsewhere (None: there must be none). NetworkError for any other
    name, for more than ``max_steps`` instructions and for anything damaged.
    """
    tape = file if isinstance(file, Tape) else Tape(file)
    machine = _Machine(tape, {*allowed, *DICTS, *SETS, *BYTES}, persistent, max_bytes)
    take = tape.take
    try:
        for _ in range(max_steps):
            code = take(1)
            if code == b".":
                (value,) = machine.stack
                if file is not tape:
                    tape.file.seek(tape.place)
                return value
            _INSTRUCTIONS[code](machine)
    except _DAMAGE as exc:
        raise NetworkError("the pickle is damaged or cut short") from exc
    raise NetworkError(f"the pickle takes more than {max_steps} steps")


class UnknownName(NetworkError):
    """A pickle names a class or function that no network needs."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"the pickle asks for {name[:200]}, which no network needs; nothing in it was run"
        )


_DAMAGE = (
    *(ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError),
    struct.error,
)
"""What a damaged pickle leads to."""


class _Machine:
    """The stack machine, without any instruction that calls or imports."""

    def __init__(
        self,
        tape: Tape,
        allowed: Collection[str],
        persistent: Callable[[object], object] | None,
        max_bytes: int,
    ) -> None:
        self.tape = tape
        self.max_bytes = max_bytes
        self.allowed = allowed
        self.persistent = persistent
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        """The stacks under the marks that were set and not yet taken."""
        self.memo: dict[int, Any] = {}

    # Literals.

    def number(self, size: int) -> None:
        self.stack.append(int.from_bytes(self.tape.take(size), "little"))

    def int4(self) -> None:
        self.stack.append(int.from_bytes(self.tape.take(4), "little", signed=True))

    def long(self, digits: int) -> None:
        size = self.tape.number(digits)
        # Products and hashes of numbers without bounds take time without bounds.
        if size > 255:
            raise _too_large()
        self.whole(int.from_bytes(self.tape.take(size), "little", signed=True))

    def int_line(self) -> None:
        line = self.tape.line()
        if line in (b"00", b"01"):  # how protocol 0 writes False and True
            self.stack.append(line == b"01")
        else:
            self.whole(int(line))

    def whole(self, value: int) -> None:
        if value.bit_length() > 64 and value != TORCH_MAGIC:
            raise _too_large()
        self.stack.append(value)

    def float8(self) -> None:
        self.stack += struct.unpack(">d", self.tape.take(8))

    def bytes_of(self, digits: int) -> None:
        self.stack.append(self.tape.literal(self.tape.number(digits), self.max_bytes))

    def text_of(self, digits: int) -> None:
        found = self.tape.literal(self.tape.number(digits))
        if isinstance(found, Span):
            self.stack.append(Span(found.start, found.size, utf8=True))
        else:
            # Half a letter could not be printed, and nothing that is looked for has one.
            self.stack.append(found.decode("utf-8", "replace"))

    def text_line(self) -> None:
        """A text of protocol 0, in which letters may stand as escapes."""
        letters = self.tape.line().decode("raw_unicode_escape")
        self.stack.append(letters.encode("utf-8", "replace").decode())

    def string_of(self, digits: int) -> None:
        """A text of Python 2, where texts were bytes."""
        found = self.tape.literal(self.tape.number(digits))
        self.stack.append(found if isinstance(found, Span) else found.decode("latin-1"))

    def string_line(self) -> None:
        line = self.tape.line()
        # Escapes stand in no file that is known, and Python warns of those that it does not know.
        if len(line) < 2 or line[:1] not in b"\"'" or line[:1] != line[-1:] or b"\\" in line:
            raise ValueError("not a quoted text")
        self.stack.append(line[1:-1].decode("latin-1"))

    # The memo.

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    # What lies on the stack.

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """Take what lies above the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.marked()

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) != count:
            raise IndexError("fewer items than the tuple takes")
        self.stack[-count:] = [items]

    def marked_tuple(self) -> None:
        items = tuple(self.marked())
        self.stack.append(items)

    def marked_list(self) -> None:
        items = self.marked()
        self.stack.append(items)

    def marked_dictionary(self) -> None:
        pairs = self.marked()
        self.stack.append({})
        self.set_items(pairs)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("items of what is not a dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, KEYS):
                raise TypeError("a key that is not simple")
            target[key] = value

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("items of what is not a list")
        self.stack[-1].extend(items)

    # Names and calls.

    def name_lines(self) -> None:
        module, attribute = self.tape.line(), self.tape.line()
        self.name(f"{module.decode()}.{attribute.decode()}")

    def stack_name(self) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise TypeError("a name that is not text")
        self.name(f"{module}.{attribute}")

    def name(self, full: str) -> None:
        if full not in self.allowed:
            raise UnknownName(full)
        self.stack.append(Name(full))

    def call(self) -> None:
        args, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Name) or not isinstance(args, tuple):
            raise TypeError("only names are called")
        full = called.full
        if full in DICTS and not args:
            self.stack.append({})
        elif full in SETS:
            # The list itself: copies of a long one would soon fill the memory.
            self.stack.append(args[0] if args and isinstance(args[0], list) else [])
        elif full in BYTES:
            self.stack.append(self.encoded(args))
        else:
            self.stack.append(Record(full, args))

    def encoded(self, args: tuple[Any, ...]) -> bytes | Span:
        """The bytes of a call that protocol 2 has in their place."""
        if not args:
            return b""
        text, encoding = args
        if encoding != "latin1" or not isinstance(text, (str, Span)):
            raise TypeError("not bytes")
        return text if isinstance(text, Span) else text.encode("latin-1")

    def build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Record):
            self.stack[-1].state = state

    def persistent_id(self) -> None:
        if self.persistent is None:
            raise NetworkError("the pickle refers to objects stored elsewhere")
        self.stack.append(self.persistent(self.stack.pop()))

    def refuse(self, instruction: str) -> None:
        raise NetworkError(f"the pickle has the instruction {instruction}, which no network needs")


def _too_large() -> NetworkError:
    return NetworkError("the pickle has a number of more than 64 bits")


def _refused(instruction: str) -> Callable[[_Machine], None]:
    return lambda m: m.refuse(instruction)


_INSTRUCTIONS: dict[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda m: m.tape.take(1),  # PROTO
    b"\x95": lambda m: m.tape.take(8),  # FRAME
    # Numbers: INT, BININT, BININT1, BININT2, LONG, LONG1, LONG4, FLOAT, BINFLOAT
    b"I": _Machine.int_line,
    b"J": _Machine.int4,
    b"K": lambda m: m.number(1),
    b"M": lambda m: m.number(2),
    b"L": lambda m: m.whole(int(m.tape.line().removesuffix(b"L"))),
    b"\x8a": lambda m: m.long(1),
    b"\x8b": lambda m: m.long(4),
    b"F": lambda m: m.stack.append(float(m.tape.line())),
    b"G": _Machine.float8,
    # Python 2's texts: STRING, BINSTRING, SHORT_BINSTRING
    b"S": _Machine.string_line,
    b"T": lambda m: m.string_of(4),
    b"U": lambda m: m.string_of(1),
    # Texts: UNICODE, BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
    b"V": _Machine.text_line,
    b"X": lambda m: m.text_of(4),
    b"\x8c": lambda m: m.text_of(1),
    b"\x8d": lambda m: m.text_of(8),
    # Bytes: BINBYTES, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8
    b"B": lambda m: m.bytes_of(4),
    b"C": lambda m: m.bytes_of(1),
    b"\x8e": lambda m: m.bytes_of(8),
    b"\x96": lambda m: m.bytes_of(8),
    # NONE, NEWTRUE, NEWFALSE, EMPTY_TUPLE, EMPTY_LIST, EMPTY_DICT, EMPTY_SET
    b"N": lambda m: m.stack.append(None),
    b"\x88": lambda m: m.stack.append(True),
    b"\x89": lambda m: m.stack.append(False),
    b")": lambda m: m.stack.append(()),
    b"]": lambda m: m.stack.append([]),
    b"}": lambda m: m.stack.append({}),
    b"\x8f": lambda m: m.stack.append([]),
    # MARK, POP, POP_MARK, DUP
    b"(": _Machine.mark,
    b"0": _Machine.pop,
    b"1": _Machine.marked,
    b"2": lambda m: m.stack.append(m.stack[-1]),
    # PUT, BINPUT, LONG_BINPUT, MEMOIZE, GET, BINGET, LONG_BINGET
    b"p": lambda m: m.put(int(m.tape.line())),
    b"q": lambda m: m.put(m.tape.number(1)),
    b"r": lambda m: m.put(m.tape.number(4)),
    b"\x94": _Machine.memoize,
    b"g": lambda m: m.get(int(m.tape.line())),
    b"h": lambda m: m.get(m.tape.number(1)),
    b"j": lambda m: m.get(m.tape.number(4)),
    # TUPLE, TUPLE1, TUPLE2, TUPLE3
    b"t": _Machine.marked_tuple,
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    # LIST, APPEND, APPENDS, ADDITEMS, FROZENSET
    b"l": _Machine.marked_list,
    b"a": lambda m: m.extend([m.stack.pop()]),
    b"e": lambda m: m.extend(m.marked()),
    b"\x90": lambda m: m.extend(m.marked()),
    b"\x91": _Machine.marked_list,
    # DICT, SETITEM, SETITEMS
    b"d": _Machine.marked_dictionary,
    b"s": _Machine.set_item,
    b"u": lambda m: m.set_items(m.marked()),
    # GLOBAL, STACK_GLOBAL, REDUCE, NEWOBJ, BUILD, BINPERSID
    b"c": _Machine.name_lines,
    b"\x93": _Machine.stack_name,
    b"R": _Machine.call,
    b"\x81": _Machine.call,
    b"b": _Machine.build,
    b"Q": _Machine.persistent_id,
} | {
    code: _refused(name)
    for code, name in (
        *((b"i", "INST"), (b"o", "OBJ"), (b"\x92", "NEWOBJ_EX"), (b"P", "PERSID")),
        *((b"\x82", "EXT1"), (b"\x83", "EXT2"), (b"\x84", "EXT4")),
        *((b"\x97", "NEXT_BUFFER"), (b"\x98", "READONLY_BUFFER")),
    )
}
"""What each instruction does, with Python's name for it beside."""
