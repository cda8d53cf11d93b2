"""Where YAML understands something else than its writer meant, in the writer's words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from animix.errors import Mark, Mistake
from animix.timeline.misread import quoted
from animix.timeline.nodes import Broken, Node, TextNode

_NO_SPACE = re.compile(r"\s*(?:- )?([A-Za-z0-9_.%-]+):(\S.*)")
_HASH = re.compile(r"(?:^|[\s,\[{])(#\w+)")
_BRACES = re.compile(r"\$\{\s*(\w+)\s*\}")
_TIME = re.compile(r"[0-9.:]+(?:ms|s|f|b|bars?|beats?|%)|start|end")
_COLON = re.compile(r"\s*:")
_FOUND = re.compile(r", but (?:got|found) .*|found unexpected end of stream")


def cleaned(
    error: yaml.YAMLError, lines: Sequence[str], opened: Sequence[Mark] = ()
) -> tuple[tuple[int, int], str, str]:
    """A parser's error as (line, column), counted from 0, message and hint.

    ``opened`` ends with the innermost [ or { that is still open.
    """
    if not isinstance(error, yaml.MarkedYAMLError):
        return (0, 0), "this is no YAML", ""
    problem, context = error.problem or "no reason given", error.context or ""
    at = place(error.problem_mark or error.context_mark)
    opening = place(error.context_mark or error.problem_mark)
    found = "".join(lines[at[0] : at[0] + 1])[at[1] : at[1] + 1]
    begun = "".join(lines[opening[0] : opening[0] + 1])
    if "alias" in context:
        word = quoted(begun[opening[1] :].rstrip("]} "))
        return opening, "a leading * makes an alias in YAML", f"put it in quotes: {word}"
    if found == "\t" or "tab character" in problem:
        return at, "a tab stands where YAML wants spaces", "indent with spaces"
    if "cannot start any token" in problem:
        return at, f"a value can't start with {quoted(found)}", "put the value in quotes"
    if "simple key" in context:
        if missing := _NO_SPACE.fullmatch(begun):
            key, value = missing.groups()
            return opening, f"a space is missing after {key}:", f"write {key}: {value.strip()}"
        return opening, "a key needs a colon and a space after it", "write KEY: VALUE"
    if "mapping values are not allowed" in problem:
        hint = "one key a line, evenly indented; a text with a colon goes in quotes"
        return at, "a second key stands in the value of the first", hint
    if "quoted scalar" in context and "end of stream" in problem:
        return opening, "a quote is opened here and never closed", ""
    if "flow" in context:
        if opened:  # the parsers' own places lie at the end of the file
            opening = opened[-1].line - 1, opened[-1].column - 1
        begun = "".join(lines[opening[0] : opening[0] + 1])
        bracket = "{" if begun.startswith("{", opening[1]) else "["
        closing = "]" if bracket == "[" else "}"
        hint = f"put a comma between the items and {closing} at the end"
        for line in lines[opening[0] : at[0] + 1]:
            if swallowed := _HASH.search(line):
                hint = f"{swallowed[1]} starts a comment; write {quoted(swallowed[1])}"
                break
            if braces := _BRACES.search(line):
                hint = f'write ${braces[1]}, or put all of it in quotes: "…${{{braces[1]}}}…"'
                break
        return opening, f"what is opened here with {bracket} is not closed with {closing}", hint
    if "block" in context:
        return at, "this line is indented unlike its neighbours", "line it up with them"
    return at, f"this is no YAML: {_FOUND.sub('', problem)}", ""


def place(mark: object) -> tuple[int, int]:
    """Line and column of a parser's mark, counted from 0."""
    return getattr(mark, "line", 0), getattr(mark, "column", 0)


def split_values(
    pairs: Sequence[tuple[Node, Node]],
) -> tuple[list[Mistake], list[tuple[Node, Node]]]:
    """The keys and values of a ``{…}``, without those that a comma or a missing space made up.

    ``{0s: bezier(.2, 0, .3, 1)}`` is for YAML a map of four keys, three of them without a value.
    """
    mistakes: list[Mistake] = []
    kept: list[tuple[Node, Node]] = []
    pieces: list[TextNode] = []  # of the value that was kept last

    def close() -> None:
        if pieces:
            mistakes.append(_split(pieces, "{…}"))
            kept[-1] = kept[-1][0], Broken(pieces[0].mark)
            pieces.clear()

    for key, value in pairs:
        if not (isinstance(key, TextNode) and _is_bare(key, value)):
            close()
            kept.append((key, value))
        elif ":" in key.text:
            name, _, rest = " ".join(key.text[:80].split()).partition(":")
            message = f"a space is missing after {quoted(name + ':')}"
            mistakes.append(Mistake(key.mark, message, f"write {name}: {rest}"))
        elif kept and isinstance(before := kept[-1][1], TextNode) and not _is_time(key, before):
            pieces.extend([key] if pieces else [before, key])
        else:
            hint = f"write {' '.join(key.text[:40].split())}: VALUE"
            mistakes.append(Mistake(key.mark, f"{quoted(key.text)} has no value", hint))
    close()
    return mistakes, kept


def split_items(items: Sequence[Node]) -> tuple[list[Mistake], list[Node]]:
    """The items of a ``[…]``; one that a comma inside its brackets took apart is Broken."""
    mistakes: list[Mistake] = []
    kept: list[Node] = []
    pieces: list[TextNode] = []
    for item in items:
        if not (isinstance(item, TextNode) and item.plain):
            kept += [*pieces, item]
            pieces = []
            continue
        opened = item.text.count("(") - item.text.count(")")
        if not pieces and opened <= 0:
            kept.append(item)
            continue
        pieces.append(item)
        if opened < 0:
            mistakes.append(_split(pieces, "[…]"))
            kept.append(Broken(pieces[0].mark))
            pieces = []
    return mistakes, [*kept, *pieces]


def _is_bare(key: TextNode, value: Node) -> bool:
    """Whether a key in ``{…}`` stands there without a colon."""
    if not (isinstance(value, TextNode) and value.is_empty and not value.text):
        return False
    end = key.mark.column - 1 + key.mark.width
    return _COLON.match(key.mark.text, end) is None


def _is_time(key: TextNode, before: TextNode) -> bool:
    """Whether a bare key is a time without a value, and no piece of the value before it."""
    return before.text.count("(") <= before.text.count(")") and bool(_TIME.fullmatch(key.text))


def _split(pieces: Sequence[TextNode], where: str) -> Mistake:
    """The mistake that a comma cut a value into pieces."""
    first, last = pieces[0].mark, pieces[-1].mark
    width = last.column + last.width - first.column if first.line == last.line else first.width
    if pieces[0].text.startswith("="):
        whole = ", ".join(piece.text for piece in pieces)
        hint = f"put the expression in quotes: {quoted(whole, 80)}"
    else:
        words = " ".join(piece.text for piece in pieces).replace("(", " ").replace(")", "").split()
        hint = f"write {' '.join(words)[:80]} without commas, or put the value in quotes"
    parts = ", ".join(quoted(piece.text) for piece in pieces[:-1][:4])
    return Mistake(
        Mark(first.file, first.line, first.column, width, first.text),
        f"a comma inside {where} split this value into {parts} and {quoted(pieces[-1].text)}",
        hint,
    )
