"""The stack of networks: which lie over each other, and how each is laid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

from animix.errors import Mark
from animix.timeline.bands import read_bands
from animix.timeline.misread import quoted, suggestion
from animix.timeline.nodes import Broken, ListNode, MapNode, Node, TextNode
from animix.timeline.reading import Reading
from animix.timeline.timeline import BlendLayer, NetworkRun
from animix.timeline.values import Quantity, read_track

MOST_LAYERS = 64
LAYER_KEYS = ("alpha", "swap", "width", "take", "snapshot")
TAKES: tuple[Literal["high", "low"], ...] = ("high", "low")
QUANTITIES = {
    "alpha": Quantity("alpha"),
    "swap": Quantity("swap", "octaves", low=4, words=("all", "none")),
    "width": Quantity("width", low=1e-6),
}
"""What lays one network over others, in a timeline and in ``animix blend``."""

_LIST = "list the layers from bottom to top: blend: [faces, anime: {swap: 64}]"


def read_blend(
    reading: Reading, node: Node | None, networks: Mapping[str, NetworkRun], root: Mark
) -> tuple[BlendLayer, ...]:
    """The layers of the stack, bottom to top; without ``blend`` those that go without saying."""
    if not networks:
        return ()
    names = list(networks)
    if node is None or isinstance(node, Broken):
        if node is None and len(names) > 2:
            message = f"blend is missing: {len(names)} networks can be stacked in many ways"
            reading.note(root, message, _LIST)
        return tuple(_layer(reading, name, None, number, root) for number, name in enumerate(names))
    if isinstance(node, MapNode):
        return _short(reading, node, names)
    if not isinstance(node, ListNode):
        if reading.text(node, "blend", "a list of layers") is not None:
            reading.note(node.mark, "blend is a list of layers, found a text", _LIST)
        return ()
    layers: list[BlendLayer] = []
    for item in node.items:
        for name, tracks in _item(reading, item):
            if name.text in networks:
                layers.append(_layer(reading, name.text, tracks, len(layers), name.mark))
            else:
                hint = suggestion(name.text, networks) or f"the networks are {', '.join(names)}"
                reading.note(name.mark, f"unknown network {quoted(name.text)}", hint[:200])
    if not node.items:
        reading.note(node.mark, "blend has no layers", _LIST)
    if len(layers) > MOST_LAYERS:
        reading.note(layers[MOST_LAYERS].mark, f"more than {MOST_LAYERS} layers")
    return tuple(layers)


def _short(reading: Reading, node: MapNode, names: list[str]) -> tuple[BlendLayer, ...]:
    """The tracks of the one network that has any, written directly under ``blend``."""
    listed = [key for key, _ in node.entries if key.text in names]
    if listed or len(names) > 2:
        place = listed[0].mark if listed else node.mark
        reading.note(place, "layers stand in a list", _LIST)
        return ()
    *below, top = names
    layers = [_layer(reading, name, None, number, node.mark) for number, name in enumerate(below)]
    return (*layers, _layer(reading, top, node, len(layers), node.mark))


def _item(reading: Reading, item: Node) -> Iterator[tuple[TextNode, MapNode | None]]:
    """The network and the tracks of one item of the list."""
    if isinstance(item, MapNode):
        if len(item.entries) == 1:
            name, tracks = item.entries[0]
            if isinstance(tracks, MapNode):
                yield name, tracks
            elif isinstance(tracks, TextNode) and tracks.is_empty:
                reading.note(
                    name.mark, f"{name.text[:40]} has no tracks", f"write - {name.text[:40]}"
                )
            elif not isinstance(tracks, Broken):
                message = f"{name.text[:40]} is followed by its tracks, found something else"
                reading.note(tracks.mark, message, f"write - {name.text[:40]}: {{swap: 64}}")
        elif item.entries:
            name, first = item.entries[0]
            is_empty = isinstance(first, TextNode) and first.is_empty
            hint = f"indent the tracks under {name.text[:40]}:" if is_empty else "put - before each"
            reading.note(item.entries[1][0].mark, "one item of the list is one layer", hint)
        else:
            reading.note(item.mark, "this layer has no network", _LIST)
    elif reading.words(item, "a layer", "a network's name") and isinstance(item, TextNode):
        yield item, None


def _layer(
    reading: Reading, network: str, tracks: MapNode | None, number: int, mark: Mark
) -> BlendLayer:
    """One layer; of the lowest only the snapshot may be given."""
    found = reading.options(tracks, network, LAYER_KEYS) if tracks is not None else {}
    if number == 0 and tracks is not None:
        for key, _ in tracks.entries:
            if key.text in found and key.text != "snapshot":
                message = (
                    f"{network} is the base, and nothing lies below it: {key.text} says nothing"
                )
                reading.note(key.mark, message, "a base takes snapshot only")
                del found[key.text]
    lowest = 1.0 if number == 0 else 0.0
    alpha, swap, width = (
        replace(quantity, name=f"{quantity.name} of {network}") for quantity in QUANTITIES.values()
    )
    snapshot = Quantity(f"snapshot of {network}", low=lowest, words=("first", "last"))
    return BlendLayer(
        network=network,
        alpha=read_bands(reading, found.get("alpha"), alpha, alpha.constant(1.0, mark), 0.0),
        swap=read_track(reading, found.get("swap"), swap, swap.constant("all", mark)),
        width=read_track(reading, found.get("width"), width, width.constant(1.0, mark)),
        take=reading.choice(found.get("take"), "take", TAKES, "high"),
        snapshot=read_track(
            reading, found.get("snapshot"), snapshot, snapshot.constant("last", mark)
        ),
        mark=mark,
    )
