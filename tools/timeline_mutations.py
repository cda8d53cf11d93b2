"""Mutations: how a timeline becomes a case of the fuzzer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import cache

from animix.timeline.eases import EASES
from animix.timeline.vocabulary import RESERVED

Mutation = Callable[[random.Random, str, Sequence[str]], str]

NUMBERS = (
    *("0", "-1", "1e9", "1e-9", "9" * 400, f"0.{'0' * 300}1", ".nan", ".inf", "-.inf", "nan"),
    *("1e999", "-1e999", "0x7fffffff", "0o17", "0b11", "1_000", "010", "1:30", "1:2:3:4"),
    *("4294967296", "9007199254740993", "9" * 20, "1/0", "30000/1001", "1.", ".5", "+5"),
    *("-0", "5%", "-5%", "1e3s", "999999999h", "10000000f", "0.0000001s", "-1b", "99999bar"),
)  # fmt: skip
WORDS = (
    *("null", "~", "true", "yes", "No", "on", "", '""', "''", "{}", "[]", "{a}", "[null]", "<<"),
    *("..", "0..", "..0", "4..32", "32..4", "4..32..64", "->", "1 -> 2", "0s..end every 1f"),
    *("bar 0", "bar 1 beat 9", "start", "end", "end - 99s", "end + 1s", "1s + 1s + 1s - 3s", "$x"),
    *("hold", "bezier 1 2", "bezier -9 0 9 1", "steps 0", "steps 1e9", "spring 99", "1 1 1"),
    *("../../../etc/passwd", "/dev/zero", "http://localhost/", "a" * 3000, "*", "#1", "|", ">"),
    *("1920x1080", "0x0", "99999x99999", "16x16", "gif", "reels", "png", "x.mp4", "x/", "a\\b"),
)  # fmt: skip
UNICODE = (
    *("\u00e9", "e\u0301", "\u202e", "\u200b", "\ufeff", "\u00a0", "\u3000", "\u0663", "\uff11"),
    *("\u212a", "\u017f", "\u0130", "\ufb01", "\U0001f3ac", "\U000e0041", "\u2028", "\u0085"),
    *("\uff0e", "\u2212", "\u00d7", "\u2026", "\uff1a", "\u2019", "\ud7ff", "\ue000", "\u0000"),
    *("\x1b[31m", "\x7f", "\b", "\t", "\r", "\x0c", "\x9b", "\uffff", "\udc80"),
)
NAMES = (
    *("t", "u", "n", "beat", "bar", "key", "rms", "low", "pi", "x", "__import__", "os", "self"),
    *("sine", "tri", "saw", "square", "pulse", "noise", "if", "min", "max", "clamp", "mix", "abs"),
    *("floor", "round", "sqrt", "exp", "log", "sin", "cos", "lambda", "eval", "exec", "open"),
    *("__class__", "().__class__.__mro__", "globals()", "f'{t}'", "'a'", "[1]", "{1: 2}", "t.real"),
    *("getattr", "type", "np", "np.load", "0.__class__", "True", "None", "not", "and", "x := 1"),
)  # fmt: skip
SIGNS = (
    "+",
    "-",
    "*",
    "/",
    "^",
    "%",
    "<",
    "<=",
    ">",
    ">=",
    "==",
    "!=",
    "**",
    "//",
    "@",
    "&",
    ",",
    "=",
)
ATTACKS = (
    "9**9**9", "9^9^9^9^9", "1/0", "0/0", "0%0", "sqrt(-1)", "log(0)", "exp(1e9)", "-" * 3000 + "1",
    "(" * 2000 + "1" + ")" * 2000, "1" + "+1" * 3000, "sine(0s)", "sine(-1s)", "sine(1e-9s)",
    "noise(1ms, 1e99)", "noise(1s, -1)", "if(1, 2)", "min()", "sine", "sine()", "clamp(1,2,3,4)",
    "__import__('os').system('touch pwned')", "(lambda: 0)()", "key + key", "key", "1 if t else 2",
    "abs(" * 500 + "t" + ")" * 500, "t;t", "t\\nt", "t # t", "1s/0s", "2s*2s", "1_000", "1j",
    "sin(1e300)", "1e308*1e308", "(1e308*10)-(1e308*10)", "floor(1e300)", "round(0.5", "((", "",
)  # fmt: skip
TAGS = (
    "!!python/object/apply:os.system [ls]", "!!python/name:os.system", "!!binary aGk=", "! 1",
    "!x 1", "!!float 1", "!<tag:yaml.org,2002:int> 3", "!!python/object/new:type [x]", "!!set {a}",
)  # fmt: skip

LONGEST = 4000
"""Keys or items of what is long and not deep: 20,000 are allowed, and take two seconds."""

_TOKEN = re.compile(r"[A-Za-z_][\w-]*|[0-9]+(?:\.[0-9]+)?|\s+|.", re.DOTALL)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_EASE = re.compile(r" (?:hold|[a-z]+-(?:in|out|in-out))\b")
_UNIT = re.compile(r"(?<=[0-9])(?:ms|s|f|bar|b|%)(?![a-z])")
_VALUE = re.compile(r"(?<=: )[^,\]}{\[\n#]+")


def tokens(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Words and signs left out, doubled, exchanged, or replaced by others of any timeline."""
    found = _TOKEN.findall(text)
    for _ in range(draw.choice([1, 1, 2, 3, 8])):
        place, other = draw.randrange(len(found)), draw.randrange(len(found))
        action = draw.randrange(5)
        if action == 0:
            found[place] = ""
        elif action == 1:
            found[place] *= draw.choice([2, 2, 2, 50])
        elif action == 2:
            found[place], found[other] = found[other], found[place]
        elif action == 3:
            found[place] = draw.choice(_tokens(draw.choice(others)))
        else:
            found[place] = draw.choice(_vocabulary())
    return "".join(found)


def numbers(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Numbers made absurd."""
    return _replaced(draw, text, _NUMBER, lambda: draw.choice(NUMBERS))


def values(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Values replaced by what stands elsewhere, or nowhere."""
    return _replaced(draw, text, _VALUE, lambda: draw.choice([*WORDS, *NUMBERS, *_vocabulary()]))


def slight(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Numbers, units and eases changed for others that might stand there."""
    action = draw.randrange(4)
    if action == 0:
        usual = ("0", "1", "2", "3", "0.5", "0.25", "4", "8", "16", "24", "64", "120")
        return _replaced(draw, text, _NUMBER, lambda: draw.choice(usual))
    if action == 1:
        return _replaced(draw, text, _EASE, lambda: f" {draw.choice(list(EASES))}")
    if action == 2:
        return _replaced(draw, text, _UNIT, lambda: draw.choice(["s", "f", "b", "bar", "%", "ms"]))
    return _replaced(draw, text, _NUMBER, lambda: f"={_good(draw, 3)}", most=1)


def lines(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Lines left out, doubled, moved, indented otherwise, or taken from another timeline."""
    found = text.splitlines(keepends=True)
    for _ in range(draw.choice([1, 1, 2, 4])):
        place = draw.randrange(len(found) + 1)
        taken = draw.choice(draw.choice([text, *others]).splitlines(keepends=True) or [""])
        action = draw.randrange(4)
        if action == 0:
            found[place : place + draw.choice([1, 1, 3])] = []
        elif action == 1:
            found.insert(place, taken)
        elif action == 2:
            found[place : place + 1] = [draw.choice([" ", "  ", "\t", "- ", "? "]) + taken]
        else:
            draw.shuffle(found)
        found = found or [""]
    return "".join(found)


def nested(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Something deep, or long, instead of a value."""
    depth = draw.choice([2, 20, 39, 40, 41, 500, 20_000])
    kind = draw.randrange(6)
    if kind == 0:
        deep = "{a: " * depth + "1" + "}" * depth
    elif kind == 1:
        deep = "[" * depth + "1" + "]" * depth
    elif kind == 2:
        deep = "{4..8: " * depth
    elif kind == 3:
        deep = "".join(f"\n{' ' * n}- " for n in range(1, min(depth, 500)))
    elif kind == 4:
        depth = min(depth, LONGEST)
        deep = "{" + ", ".join(f"{n}f: {n % 7}" for n in range(depth)) + "}"
    else:
        deep = "[" + ", ".join(["3"] * min(depth, LONGEST)) + "]"
    return _replaced(draw, text, _VALUE, lambda: deep, most=1)


def characters(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Characters of other scripts, of none, and such as steer terminals."""
    for _ in range(draw.choice([1, 1, 2, 5, 40])):
        place = draw.randrange(len(text) + 1)
        put = draw.choice(
            [
                draw.choice(UNICODE),
                chr(draw.randrange(0xD800)),
                draw.choice("{}[]:,#&*!|>'\"%@`-? \n"),
            ]
        )
        text = text[:place] + put + text[place + draw.choice([0, 0, 1, 3]) :]
    return text


def expressions(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Expressions, good and hostile, where values and keys were."""

    def expression() -> str:
        written = f"={draw.choice(ATTACKS) if draw.random() < 0.4 else _expression(draw, 5)}"
        return (
            written
            if draw.random() < 0.3
            else '"' + written.replace("\\", "\\\\").replace('"', "") + '"'
        )

    return _replaced(draw, text, _VALUE, expression)


def references(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Anchors, aliases, merge keys, tags, directives and further documents."""
    for _ in range(draw.choice([1, 2, 4])):
        name = draw.choice("abc")
        put = draw.choice(
            [
                f"&{name} ",
                f"*{name} ",
                f"*{name}",
                f"<<: *{name}, ",
                f"{draw.choice(TAGS)} ",
                "? ",
                "| ",
                ">- ",
            ]
        )
        places = [found.start() for found in _VALUE.finditer(text)] or [0]
        place = draw.choice(places)
        text = text[:place] + put + text[place:]
    if draw.random() < 0.2:
        put = draw.choice(
            ["---\n", "...\n", "%YAML 1.1\n---\n", "%TAG ! x:\n---\n", "<<: *a\n", "\ufeff"]
        )
        text = draw.choice([put + text, text + put])
    if draw.random() < 0.1:
        levels = draw.choice([3, 9, 30])
        laughs = "".join(
            f"l{n}: &l{n} [{', '.join([f'*l{n - 1}' if n else '1'] * 9)}]\n" for n in range(levels)
        )
        text = laughs + text
    return text


def structures(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """Random YAML under the keys of the language."""
    keys = draw.sample(_vocabulary(), k=draw.choice([1, 2, 5, 12]))
    made = "".join(f"{key}: {_structure(draw, 4)}\n" for key in keys)
    start = "networks: {faces: a.pkl, anime: b.pkl}\nduration: 6s\n"
    return draw.choice(
        [made, text + made, start + made, start + "blend: " + _structure(draw, 5) + "\n"]
    )


def settings(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """A value put into it as ``--set`` does, which a comment tells."""
    keys = [draw.choice([*_vocabulary(), "0", "faces", "vars"]) for _ in range(draw.randint(1, 3))]
    return f"#--set {'.'.join(keys)}={_structure(draw, 2)}\n{text}"


SETTING = re.compile(r"^#--set (.*?)=(.*)$", re.M)
"""What ``settings`` has added: a path and a value."""

MUTATIONS: tuple[Mutation, ...] = (
    *(slight, slight, tokens, tokens, numbers, values, values, lines, nested, characters),
    *(expressions, expressions, references, structures, structures, settings),
)


def changed(draw: random.Random, sources: Sequence[str]) -> tuple[str, str]:
    """How a case is made, and its text; some are changed in two ways."""
    text = draw.choice(sources)
    chosen: list[Mutation] = [slight] * draw.choice([1, 2])  # what is not refused goes further
    if draw.random() < 0.7:
        chosen = [draw.choice(MUTATIONS) for _ in range(draw.choice([1, 1, 1, 2, 3]))]
    for mutation in chosen:
        text = mutation(draw, text, sources)[: 1 << 21] or "\n"
    return " ".join(sorted({mutation.__name__ for mutation in chosen})), text


def _replaced(
    draw: random.Random, text: str, pattern: re.Pattern[str], make: Callable[[], str], most: int = 3
) -> str:
    """A text with a few of the places that a pattern finds made anew."""
    for _ in range(draw.randint(1, most)):
        found = list(pattern.finditer(text))
        if not found:
            break
        place = draw.choice(found)
        text = text[: place.start()] + make() + text[place.end() :]
    return text


def _expression(draw: random.Random, depth: int) -> str:
    """A random expression, with mistakes here and there."""
    if depth == 0 or draw.random() < 0.2:
        return draw.choice(
            [draw.choice(NAMES[:12]), draw.choice(NUMBERS), "0.5", "2s", "1bar", "t"]
        )
    kind = draw.random()
    if kind < 0.4:
        left, right = _expression(draw, depth - 1), _expression(draw, depth - 1)
        return f"{left} {draw.choice(SIGNS)} {right}"
    if kind < 0.8:
        arguments = [
            _expression(draw, depth - 2 if depth > 1 else 0)
            for _ in range(draw.choice([1, 1, 2, 3]))
        ]
        return f"{draw.choice(NAMES)}({', '.join(arguments)})"
    before, behind = draw.choice(["-", "+", "(", "not ", ""]), draw.choice(["", ")"])
    return f"{before}{_expression(draw, depth - 1)}{behind}"


def _good(draw: random.Random, depth: int) -> str:
    """A random expression without mistakes, but for what only its values show."""
    if depth == 0 or draw.random() < 0.3:
        return draw.choice(
            ["t", "u", "0.5", "2", "beat", "sine(2s)", "noise(1s)", "tri(50%)", "8s"]
        )
    left, right = _good(draw, depth - 1), _good(draw, depth - 1)
    shapes = ("({0} {2} {1})", "{0}{2}{1}", "abs({0})", "-{0}", "(if({0} < {1}, {1}, 0.5))")
    return draw.choice(shapes).format(left, right, draw.choice(["+", "-", "*", "/", "^", "%"]))


def _structure(draw: random.Random, depth: int) -> str:
    """A random value in flow style."""
    kind = draw.random()
    if depth == 0 or kind < 0.3:
        return draw.choice(
            [draw.choice(NUMBERS), draw.choice(WORDS), draw.choice(_vocabulary()), "1", "2s"]
        )
    inside = [_structure(draw, depth - 1) for _ in range(draw.choice([0, 1, 2, 2, 3, 6]))]
    if kind < 0.5:
        return f"[{', '.join(inside)}]"
    times = (
        "0s",
        "1s",
        "50%",
        "end",
        "start",
        "bar 2",
        "0s..end every 1s",
        "4..32",
        "64..",
        "faces",
        "anime",
    )
    return (
        "{"
        + ", ".join(f"{draw.choice([*times, *_vocabulary()])}: {value}" for value in inside)
        + "}"
    )


@cache
def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


@cache
def _vocabulary() -> list[str]:
    return sorted({*RESERVED, *EASES})
