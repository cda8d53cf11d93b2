import pytest

from animix.errors import TimelineError
from animix.timeline.reader import read_timeline

ONE = "networks: {faces: ffhq.pkl}\nduration: 6s\n"
TWO = "networks: {faces: ffhq.pkl, anime: anime.pkl}\nduration: 6s\n"
THREE = "networks: {faces: ffhq.pkl, anime: anime.pkl, marble: m.pkl}\nduration: 6s\n"


def names(text):
    return [layer.network for layer in read_timeline(text, "reel.yaml").blend]


@pytest.mark.parametrize(
    ("text", "stack"),
    [
        (ONE, ["faces"]),
        (TWO, ["faces", "anime"]),
        (TWO + "blend: {swap: 64}", ["faces", "anime"]),
        (ONE + "blend: {snapshot: 1}", ["faces"]),
        (THREE + "blend: [faces]", ["faces"]),
        (THREE + "blend: [marble, faces: {alpha: 1}, anime]", ["marble", "faces", "anime"]),
        (TWO + "blend: [faces, anime, anime: {swap: 64}]", ["faces", "anime", "anime"]),
        (THREE + "blend:\n  - faces\n  - anime:\n      swap: 64\n", ["faces", "anime"]),
    ],
)
def test_layers_lie_from_bottom_to_top(text, stack):
    assert names(text) == stack


def test_a_layer_without_tracks_has_the_defaults():
    layer = read_timeline(TWO, "reel.yaml").blend[1]
    constants = (layer.swap, layer.width, layer.snapshot, layer.alpha.track_at(64))
    assert [track.keys[0].value for track in constants] == ["all", 1, "last", 1]
    assert layer.take == "high"


def test_the_tracks_under_blend_are_those_of_the_second_network():
    base, layer = read_timeline(TWO + "blend: {swap: 64, take: low}", "reel.yaml").blend
    assert (layer.swap.keys[0].value, layer.take) == (64, "low")
    assert base.swap.keys[0].value == "all"


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (THREE, 0, "blend is missing: 3 networks", "list the layers"),
        (THREE + "blend: {swap: 64}", 3, "layers stand in a list", "from bottom to top"),
        (TWO + "blend: {anime: {swap: 64}}", 3, "layers stand in a list", "from bottom to top"),
        (TWO + "blend: anime", 3, "blend is a list of layers, found a text", "from bottom"),
        (TWO + "blend: []", 3, "blend has no layers", ""),
        (TWO + "blend:", 3, "blend has no value", ""),
        (TWO + "blend: [faces, anmie]", 3, 'unknown network "anmie"', 'mean "anime"?'),
        (TWO + "blend: [faces, $top]", 3, "there is no $top", ""),
        (TWO + "blend: [faces" + ", anime" * 64 + "]", 3, "more than 64 layers", ""),
        (TWO + "blend: [faces, zzz]", 3, 'unknown network "zzz"', "faces, anime"),
        (TWO + "blend: [faces, [anime]]", 3, "a layer is a network's name, found a list", ""),
        (TWO + "blend:\n- faces\n- anime:\n  swap: 4", 6, "one item of the list", "indent the"),
        (TWO + "blend: [{faces: {}, anime: {}}]", 3, "one item of the list is one layer", "put -"),
        (TWO + "blend:\n- faces\n- anime:", 5, "anime has no tracks", "write - anime"),
        (TWO + "blend: [faces, anime: 64]", 3, "anime is followed by its tracks", "{swap: 64}"),
        (TWO + "blend: [faces, {}]", 3, "this layer has no network", ""),
        (TWO + "blend: {swop: 64}", 3, 'unknown key "swop"', 'did you mean "swap"?'),
        (TWO + "blend: {take: hihg}", 3, 'unknown take "hihg"', 'did you mean "high"?'),
        (TWO + "blend: {take: [high]}", 3, "take is one of high, low, found a list", ""),
        (TWO + "blend: [faces: {swap: 64}]", 3, "faces is the base", "snapshot only"),
        (TWO + "blend: [faces: {take: low}]", 3, "faces is the base", "snapshot only"),
        (ONE + "blend: {alpha: 0.5}", 3, "faces is the base", "snapshot only"),
        (ONE + "blend: {snapshot: 0}", 3, "snapshot of faces can't be 0: the least is 1", ""),
    ],
)
def test_what_is_no_stack_is_a_mistake_with_its_line(text, line, message, hint):
    with pytest.raises(TimelineError) as caught:
        read_timeline(text, "reel.yaml")
    (found,) = caught.value.mistakes
    assert found.mark.line == line
    assert message in found.message
    assert hint in found.hint


def test_above_the_base_a_snapshot_may_slide_from_what_lies_below():
    layer = read_timeline(TWO + "blend: {snapshot: {0s: 0, end: 0}}", "reel.yaml").blend[1]
    assert layer.snapshot.keys[0].value == 0
