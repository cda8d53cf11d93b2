"""A timeline and the facts of its networks become one row a frame."""

import csv
import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from animix.csv_rows import write_csv
from animix.errors import OptionError, TimelineError
from animix.latents import Direction
from animix.networks.facts import Layer, NetworkFacts
from animix.sampling import make_schedule
from animix.schedule import Column
from animix.timeline.reader import read_timeline


def facts(img_resolution=32, c_dim=0):
    names = [("b4.const", 4), ("b4.conv1", 4)]
    for resolution in (2**k for k in range(3, img_resolution.bit_length())):
        names += [(f"b{resolution}.conv0", resolution), (f"b{resolution}.conv1", resolution)]
    return NetworkFacts(
        kind="stylegan2",
        architecture="skip",
        img_resolution=img_resolution,
        z_dim=16,
        c_dim=c_dim,
        w_dim=16,
        num_ws=len(names),
        layers=tuple(Layer(name, resolution, ()) for name, resolution in names),
        num_parameters=0,
    )


def schedule_of(text, *, snapshots=None, img_resolution=32, c_dim=0):
    """The schedule of a timeline; ``snapshots`` says how many each network has, else one."""
    timeline = read_timeline(text, "reel.yaml")
    counts = snapshots or {}
    columns = [
        Column(name, number, counts.get(name, 1))
        for name in dict.fromkeys(layer.network for layer in timeline.blend)
        for number in range(1, counts.get(name, 1) + 1)
    ]
    return make_schedule(timeline, facts(img_resolution, c_dim), columns)


TWO = "networks: {a: a.pkl, top: top.pkl}\n"
ONE = "networks: {a: a.pkl}\n"


def mistakes_of(text, **settings):
    with pytest.raises(TimelineError) as caught:
        schedule_of(text, **settings)
    return caught.value.mistakes


def test_the_smallest_timeline_has_the_defaults():
    schedule = schedule_of(TWO + "duration: 6s\nlatents: [3, 17, 42]\n")
    row = schedule.row(0)
    assert (schedule.num_frames, schedule.fps, schedule.clip.loop) == (180, 30, True)
    assert (row.psi == 0.7).all()
    assert row.points[0].latents == ((3, 1.0),)
    assert (row.mix == [[0, 1]] * 8).all()
    assert row.noise.kind == "fixed"


def test_swap_alpha_and_snapshot_are_keyframed_together():
    schedule = schedule_of(
        TWO
        + "duration: 4s\nfps: 10\n"
        + "blend: {swap: {0s: none, 1s: 16, 2s: all, end: none}, alpha: {0s: 1, 2s: 0.5, end: 1},"
        + " snapshot: {0s: 0, 2s: last, end: 0}}\n",
        snapshots={"top": 3},
    )
    assert (schedule.row(0).mix == [[1, 0, 0, 0]] * 8).all()
    assert (schedule.row(20).mix == [[0.5, 0, 0, 0.5]] * 8).all()
    at_swap = schedule.row(10).mix
    assert (at_swap[:4] == [1, 0, 0, 0]).all()
    assert (at_swap[4:, 1:3] > 0).any()
    assert at_swap.sum(1) == pytest.approx(1)


@pytest.mark.parametrize("img_resolution", [8, 32, 256])
@pytest.mark.parametrize("take", ["high", "low"])
@pytest.mark.parametrize("width", [0.5, 1, 3])
def test_all_and_none_fit_networks_of_any_size(img_resolution, take, width):
    schedule = schedule_of(
        TWO + f"duration: 2s\nblend: {{swap: {{0s: all hold, 1s: none hold}}, take: {take}, "
        f"width: {width}}}\n",
        img_resolution=img_resolution,
    )
    assert (schedule.row(0).mix[:, 1] == 1).all()
    assert (schedule.row(30).mix[:, 1] == 0).all()


def test_alpha_by_resolution_rules_the_layers_of_its_range():
    schedule = schedule_of(TWO + "duration: 1s\nblend: {alpha: {4..8: 0.25, 32..: 1}}\n")
    assert schedule.row(0).mix[:, 1].tolist() == [0.25] * 4 + [0] * 2 + [1] * 2


def test_truncation_by_resolution_is_a_cutoff():
    schedule = schedule_of(ONE + "duration: 1s\ntruncation: {4..8: 0.5}\n")
    # conv1 of 4 px, both of 8 px, both of 16 and 32 px, and the last torgb.
    assert schedule.row(0).psi.tolist() == [0.5] * 3 + [1] * 5


@pytest.mark.parametrize(
    ("loop", "latents", "at", "weights"),
    [
        ("auto", "[5, 6, 7, 8]", 10, {6: 1}),
        ("auto", "[5, 6, 7, 8]", 30, {8: 1}),
        ("false", "[5, 6, 7, 8, 9]", 39, {9: 1}),
        ("auto", "{seeds: [5, 6], every: 1s}", 20, {5: 1}),
        ("false", "{seeds: [5, 6], every: 1s}", 30, {6: 1}),
        ("auto", "{0s: 5, 1s: 6 hold, 3s: 5}", 29, {6: 1}),
        ("auto", "{seeds: [5, 6], path: linear}", 5, {5: 0.75, 6: 0.25}),
    ],
)
def test_latents_are_where_they_are_meant_to_be(loop, latents, at, weights):
    schedule = schedule_of(ONE + f"duration: 4s\nfps: 10\nloop: {loop}\nlatents: {latents}\n")
    assert dict(schedule.row(at).points[0].latents) == pytest.approx(weights)


@pytest.mark.parametrize("loop", ["auto", "false"])
@pytest.mark.parametrize("duration", ["1f", "1ms"])
def test_a_clip_of_one_frame_shows_the_start(loop, duration):
    schedule = schedule_of(
        TWO + f"duration: {duration}\nloop: {loop}\nlatents: {{0s: 1, end: 1}}\n"
        "blend: {swap: {0%: none, 50%: 8, 100%: none}}\n"
    )
    assert schedule.num_frames == 1
    assert (schedule.row(0).mix == [[1, 0]] * 8).all()


def test_seeds_without_a_loop_end_at_the_last_seed_on_the_last_frame():
    schedule = schedule_of(ONE + "duration: 2s\nloop: false\nlatents: [1, 2, 3]\n")
    assert dict(schedule.row(0).points[0].latents) == {1: 1.0}
    assert dict(schedule.row(59).points[0].latents) == pytest.approx({3: 1.0})


def test_every_seed_of_a_run_on_path_begins_the_way_to_the_next():
    schedule = schedule_of(
        ONE + "duration: 3s\nfps: 10\nloop: false\nlatents: {seeds: [1, 2], every: 2s}\n"
    )
    last = dict(schedule.row(29).points[0].latents)
    assert last[2] > 0.3
    assert last[1] > 0.3


def test_latents_in_z_go_by_slerp():
    schedule = schedule_of(ONE + "duration: 2s\nlatents: {seeds: [1, 2], space: z}\n")
    middle = dict(schedule.row(15).points[0].latents)
    assert middle[1] == pytest.approx(middle[2])
    assert sum(middle.values()) > 1.2


def test_classes_mix_between_keys():
    schedule = schedule_of(ONE + "duration: 2s\nfps: 10\nlabel: {0s: 0, 1s: 2, end: 0}\n", c_dim=3)
    assert schedule.row(0).labels == ((0, 1.0),)
    assert dict(schedule.row(5).labels) == pytest.approx({0: 0.5, 2: 0.5})


def test_a_class_after_an_arrow_is_reached():
    schedule = schedule_of(
        ONE + "duration: 4s\nfps: 10\nlabel: {0s..4s every 1s: 0 -> 2 linear}\n", c_dim=3
    )
    assert schedule.row(10).labels == ((0, 1.0),)
    assert dict(schedule.row(15).labels) == pytest.approx({0: 0.5, 2: 0.5})
    assert dict(schedule.row(39).labels) == pytest.approx({0: 0.1, 2: 0.9})


@pytest.mark.parametrize("options", ["", "loop: false\n"])
def test_latents_after_an_arrow_are_reached(options):
    schedule = schedule_of(
        ONE + f"duration: 4s\nfps: 10\n{options}latents: {{0s..4s every 1s: 5 -> 7 linear}}\n"
    )
    assert dict(schedule.row(10).points[0].latents) == {5: 1.0}
    assert dict(schedule.row(15).points[0].latents) == pytest.approx({5: 0.5, 7: 0.5})
    assert set(dict(schedule.row(19).points[0].latents)) == {5, 7}
    assert dict(schedule.row(19).points[0].latents)[7] > 0.9


def test_a_row_is_the_same_alone_and_among_others():
    schedule = schedule_of(
        TWO
        + "duration: 4s\nfps: 10\nlatents: [3, 17, 42]\n"
        + "truncation: {0s: 0.5, 2s: 0.9, end: 0.5}\nnoise: {loop: 2s}\n"
        + "blend: {swap: {0s: none, 2s: all, end: none},"
        + " alpha: {4..8: 0.25, 32..: {0s: 0, end: 1}},"
        + " snapshot: {0s: 0, 2s: last, end: 0}, width: 3}\n",
        snapshots={"top": 3},
    )
    for row in schedule.rows(range(3, 40)):
        alone = schedule.row(row.index)
        assert (row.mix == alone.mix).all()
        assert (row.mix == schedule.mix(row.index)).all()
        assert (row.psi == alone.psi).all()
        for name in ("index", "time_seconds", "points", "labels", "noise", "framing"):
            assert getattr(row, name) == getattr(alone, name)


def test_random_noise_is_a_function_of_time():
    text = ONE + "duration: 2s\nnoise: random\n"
    slow, fast = schedule_of(text + "fps: 10\n"), schedule_of(text + "fps: 20\n")
    assert slow.row(3).noise == fast.row(6).noise
    assert slow.row(3).noise != slow.row(4).noise


def test_looped_noise_returns_after_its_period():
    schedule = schedule_of(ONE + "duration: 4s\nfps: 10\nnoise: {loop: 2s}\n")
    assert [schedule.row(frame).noise.turn for frame in (0, 5, 20, 25)] == [0, 0.25, 0, 0.25]
    assert schedule.clip.loop


LOOPS = {
    "constant": ("", True, "every track meets itself"),
    "a closed track": ("truncation: {0%: 0.5, 50%: 1, 100%: 0.5}", True, "meets itself"),
    "keys inside lead through the seam": ("truncation: {1s: 0.5, 2s: 1}", True, "meets itself"),
    "an open track": ("truncation: {0%: 0.5, 100%: 1}", False, "truncation is 1 at the end"),
    "open latents": ("latents: {0s: 3, end: 4}", False, "latents are at 4 at the end"),
    "the same seed at both ends": ("latents: {0s: 3, 2s: 4, end: 3}", True, "meets itself"),
    "noise that does not divide": ("noise: {loop: 3s}", False, "does not divide"),
    "one switch at the seam": ("truncation: {0s: 0.5, 3s: 1 hold}", False, "truncation is 1 at"),
    "switches, one of them at the seam": ("truncation: {0s: 0.5 hold, 3s: 1 hold}", True, "meets"),
    "repetitions that jump": ("truncation: {0s..end every 1s: 1 -> 0.2}", True, "meets itself"),
    "one repetition": ("truncation: {0s..end every 4s: 0 -> 1}", False, "truncation is 1 at the"),
    "latents that switch": ("latents: {seeds: [3, 4, 5], ease: hold}", True, "meets itself"),
    "latents that switch once": ("latents: [3, 4 hold]", False, "latents are at 4 at the end"),
    "said so": ("loop: false", False, "loop: false"),
}


@pytest.mark.parametrize("name", LOOPS)
def test_the_loop_is_decided_and_explained(name):
    line, loops, reason = LOOPS[name]
    schedule = schedule_of(ONE + f"duration: 4s\n{line}\n")
    assert schedule.clip.loop is loops
    assert reason in schedule.loop_reason


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("truncation: {0%: 0.5, 100%: 1}", "seam: truncation is 1 at the end but 0.5"),
        ("frame: {zoom: {0s: 1, end: 2}}", "seam: zoom is 2 at the end"),
        ("latents: {0s: 3, end: 4}", "seam: the latents are at 4 at the end but at 3"),
        ("noise: {loop: 3s}", "seam: the noise"),
    ],
)
def test_a_loop_that_was_asked_for_and_does_not_close_fails(line, message):
    mistakes = mistakes_of(ONE + f"duration: 4s\nloop: true\n{line}\n")
    assert [message in mistake.message for mistake in mistakes] == [True]
    assert mistakes[0].mark.line == 4


def test_a_swap_seam_is_told_in_octaves():
    mistakes = mistakes_of(TWO + "duration: 4s\nloop: true\nblend: {swap: {0s: 8, end: 16}}\n")
    assert "swap of top is 16 at the end but 8 at the start (a jump of one octave)" in str(
        mistakes[0]
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("blend: {swap: 128}", "128 is above 64"),
        ("blend: {snapshot: 4}", "4 is above 2"),
        ("blend: [a: {snapshot: 0}, top]", "the least is 1"),
        ("blend: {swap: {0s: 8, 2s..end every 1s: 8 -> 100}}", "100 is above 64"),
        ("label: 0", "a has no classes"),
        ("latents: {seeds: [me.npz], space: z}", "lies in W, not in z"),
        ("truncation: {1s: 0.5, 50%: 0.7, 2s: 0.8}", "two keys of truncation at one instant"),
    ],
)
def test_what_the_networks_can_not_do_fails(line, message):
    mistakes = mistakes_of(TWO + f"duration: 4s\n{line}\n", snapshots={"top": 2})
    assert any(message in mistake.message for mistake in mistakes), mistakes


@pytest.mark.parametrize("line", ["", "label: 7"])
def test_a_conditional_network_needs_a_class_that_it_has(line):
    mistakes = mistakes_of(ONE + f"duration: 4s\n{line}\n", c_dim=5)
    assert "a" in mistakes[0].message
    assert "0 to 4" in mistakes[0].hint


def test_all_that_the_networks_can_not_do_is_told_at_once():
    text = TWO + "duration: 4s\nlabel: 2\nblend: {swap: {0s: all, end: 999}, snapshot: 9}\n"
    assert len(mistakes_of(text + "loop: true\n")) == 4


def test_a_track_whose_keys_meet_hides_no_other_mistake():
    timeline = read_timeline(
        TWO + "duration: 4s\nframe: {zoom: {0s: 1, end: 2}}\n"
        "truncation: {50%: .5, 2s: .7}\nblend: {swap: 999}\n",
        "reel.yaml",
    )
    columns = [Column("a", 1, 1), Column("top", 1, 1)]
    with pytest.raises(TimelineError) as caught:
        make_schedule(replace(timeline, loop=True), facts(), columns)
    assert [mistake.mark.line for mistake in caught.value.mistakes] == [3, 4, 5]


@pytest.mark.parametrize(
    ("loop", "at", "frame"),
    [
        ("auto", "0", 0),
        ("auto", "1s", 10),
        ("auto", "1.09s", 10),
        ("auto", "50%", 20),
        ("auto", "end", 0),
        ("false", "end", 39),
        ("false", "100%", 39),
        ("false", "4s", 39),
        ("auto", "end - 1f", 39),
    ],
)
def test_the_frame_on_the_screen_at_a_time(loop, at, frame):
    assert schedule_of(ONE + f"duration: 4s\nfps: 10\nloop: {loop}\n").frame_at(at) == frame


@pytest.mark.parametrize(
    "at", ["5s", "end + 1ms", "start - 1s", "half", "3", "", "1e999s", "end + 1s"]
)
def test_a_time_outside_the_clip_or_none_at_all_fails(at):
    with pytest.raises(OptionError, match="--at"):
        schedule_of(ONE + "duration: 4s\n").frame_at(at)


@pytest.mark.parametrize("index", [-1, 120])
def test_a_frame_outside_the_clip_fails(index):
    with pytest.raises(OptionError, match="frames 0 to 119"):
        schedule_of(ONE + "duration: 4s\n").row(index)


def test_keys_keep_their_place_at_any_frame_rate():
    text = TWO + "duration: 2s\nblend: {swap: {0s: none, 1s: 8 linear, end: none}}\n"
    at_24, at_60 = schedule_of(text + "fps: 24\n"), schedule_of(text + "fps: 60\n")
    for seconds in (0.5, 1, 1.25):
        slow, fast = at_24.row(int(24 * seconds)), at_60.row(int(60 * seconds))
        assert slow.mix == pytest.approx(fast.mix, abs=1e-12)
        assert dict(slow.points[0].latents) == pytest.approx(dict(fast.points[0].latents))


WALK = "duration: 4s\nfps: 10\n"


def points_of(latents, head=WALK, **settings):
    schedule = schedule_of(f"{ONE}{head}latents: {latents}\n", **settings)
    return [row.points for row in schedule.rows(range(schedule.num_frames))]


def way(points):
    """How far each frame is from seed 1 on its way to seed 2."""
    return [dict(point.latents).get(2, 0.0) for (point,) in points]


@pytest.mark.parametrize("loop", ["true", "false"])
@pytest.mark.parametrize("path", ["spline", "linear"])
def test_a_constant_speed_changes_nothing(loop, path):
    head = f"{WALK}loop: {loop}\n"
    plain = points_of(f"{{seeds: [1, 2, 3], path: {path}}}", head)
    assert points_of(f"{{seeds: [1, 2, 3], path: {path}, speed: 2.5}}", head) == plain
    computed = points_of(f"{{seeds: [1, 2, 3], path: {path}, speed: =2 + 0*t}}", head)
    for found, expected in zip(computed, plain, strict=True):
        assert dict(found[0].latents) == pytest.approx(dict(expected[0].latents), abs=1e-6)


def test_a_walk_at_any_speed_ends_where_it_would_without():
    keys = "{0s: 0, 2s: 0 hold, 3s: 1}"
    found = way(
        points_of(f"{{seeds: [1, 2], path: linear, speed: {keys}}}", WALK + "loop: false\n")
    )
    assert found[:21] == [0] * 21
    assert found[-1] == 1
    assert sorted(found) == found
    closed = way(points_of("{seeds: [1, 2], path: linear, speed: =1.5 + sine(4s)}"))
    assert closed[0] == 0 and max(closed) > 0.95 and closed[-1] < 0.1
    assert closed[10] > 0.6  # it is quick at first


def test_a_walk_is_at_one_place_at_one_time_whatever_the_frame_rate():
    text = "{seeds: [1, 2], path: linear, speed: =1 + 0.9*sine(2s)}"
    slow = schedule_of(f"{ONE}duration: 4s\nfps: 10\nlatents: {text}\n")
    fast = schedule_of(f"{ONE}duration: 4s\nfps: 60\nlatents: {text}\n")
    for index in range(40):
        expected = dict(fast.row(6 * index).points[0].latents).get(2, 0)
        assert dict(slow.row(index).points[0].latents).get(2, 0) == pytest.approx(
            expected, abs=1e-3
        )


@pytest.mark.parametrize(
    ("latents", "column", "message"),
    [
        ("{seeds: [1, 2], speed: =sine(4s)}", 34, "speed is -1 at 3 s: a walk goes forward"),
        ("{seeds: [1, 2], speed: {0s: 0, end: 0}}", 33, "speed is 0 all the time"),
        ("{seeds: [1, 2], speed: =1/(t - 2s)}", 34, "a division by zero"),
        ("{4..8: [1], 16: [2]}", 17, "latents has no path for 32"),
        ("{16..: [1]}", 17, "latents has no path for 4..8"),
        (
            "{seeds: 1, edits: [{direction: sefa 17, amount: 1}]}",
            29,
            "sefa 17: this network has 16",
        ),
    ],
)
def test_a_walk_that_these_networks_can_not_go_is_a_mistake_with_its_column(
    latents, column, message
):
    (found,) = mistakes_of(f"{ONE}{WALK}latents: {latents}\n")
    assert message in found.message
    assert (found.mark.line, found.mark.column) == (4, column)


def test_each_w_index_takes_the_path_of_the_convolution_that_it_feeds():
    (low, high) = points_of("{16..: {seeds: [8], space: z}, 4..8: [1, 2]}")[10]
    # conv1 of 4 px and both of 8 px; both of 16 and 32 px and the last torgb.
    assert (low.indices, high.indices) == (range(3), range(3, 8))
    assert dict(low.latents) == pytest.approx({1: 0.5, 2: 0.5})
    assert (high.latents, high.space) == (((8, 1.0),), "z")


def test_ranges_that_a_network_has_no_layers_for_take_no_part():
    (point,) = points_of("{4..32: [1], 64..: [2]}")[0]
    assert (point.indices, point.latents) == (range(8), ((1, 1.0),))


def test_a_path_that_does_not_close_is_told_by_its_own_place():
    text = f"{ONE}{WALK}loop: true\nlatents: {{4..8: [1, 2], 16..: {{0s: 3, end: 4}}}}\n"
    (found,) = mistakes_of(text)
    assert "the latents are at 4 at the end but at 3 at the start" in found.message


DIRECTIONS = {
    name: Direction(str(name), np.full((8, 16), 0.25, np.float32)) for name in (1, "smile.npy")
}


def test_edits_push_the_w_indices_of_their_path_and_resolutions():
    text = (
        "{4..8: {seeds: [1], edits: [{direction: sefa 1, amount: {0s: 0, 50%: 2, end: 0}}]},"
        " 16..: {seeds: [2], edits: [{direction: smile.npy, amount: {4..16: 3, 32: =-1 + 0*t}}]}}"
    )
    timeline = read_timeline(f"{ONE}{WALK}latents: {text}\n", "reel.yaml")
    schedule = make_schedule(timeline, facts(), [Column("a", 1, 1)], DIRECTIONS)
    (first, amounts), (second, others) = schedule.row(20).edits
    assert (first, second) == (DIRECTIONS[1], DIRECTIONS["smile.npy"])
    assert amounts.tolist() == [2] * 3 + [0] * 5
    assert others.tolist() == [0] * 3 + [3] * 2 + [-1] * 3
    assert schedule.row(0).edits[0][1].tolist() == [0] * 8
    stream = io.StringIO()
    write_csv(schedule, stream)
    row = list(csv.DictReader(io.StringIO(stream.getvalue())))[20]
    assert (row["1 2"], row["smile.npy 3"], row["smile.npy 7"]) == ("2.0", "3.0", "-1.0")
    assert (row["latents 0..2"], row["latents 3..7"]) == ("1*1", "1*2")


def test_an_amount_that_does_not_close_keeps_the_clip_from_looping():
    text = "{seeds: 1, edits: [{direction: sefa 1, amount: {0s: 0, end: 2}}]}"
    timeline = read_timeline(f"{ONE}{WALK}latents: {text}\n", "reel.yaml")
    schedule = make_schedule(timeline, facts(), [Column("a", 1, 1)], DIRECTIONS)
    assert "amount of sefa 1 is 2 at the end but 0 at the start" in schedule.loop_reason


def test_a_film_of_another_rate_shows_the_same_paths_and_edits():
    text = (
        "{4..8: {seeds: [1, 2], speed: {0s: 1, 50%: 3, end: 1}, edits:"
        " [{direction: sefa 1, amount: =sine(4s)}]}, 16..: [3]}"
    )
    outputs = "output: [{file: a.mp4}, {file: b.mp4, fps: 5}]\n"
    timeline = read_timeline(f"{ONE}{WALK}{outputs}latents: {text}\n", "reel.yaml")
    painted = make_schedule(timeline, facts(), [Column("a", 1, 1)], DIRECTIONS)
    film = painted.film(Fraction(5), "blur")
    assert film.num_frames == 20
    for index in range(20):
        row, expected = film.row(index), painted.row(2 * index)
        assert row.points == expected.points
        assert (row.edits[0][1] == expected.edits[0][1]).all()


def test_the_csv_holds_every_frame_with_its_mix():
    schedule = schedule_of(TWO + "duration: 1s\nfps: 24000/1001\nblend: {alpha: 0.25}\n")
    stream = io.StringIO()
    write_csv(schedule, stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert len(rows) == schedule.num_frames == 24
    assert float(rows[1]["time_seconds"]) == float(Fraction(1001, 24000))
    assert float(rows[5]["b8.conv1 top"]) == 0.25
    mix = np.array([float(rows[5][f"{layer.name} a"]) for layer in schedule.facts.layers])
    assert (mix == 0.75).all()
    assert (rows[5]["noise"], rows[5]["background"]) == ("fixed", "#000000")


@pytest.mark.parametrize(
    "frames, columns",
    [
        (range(1), [0, 1]),
        (range(10), [0, 1, 2]),
        (range(20, 31), [0, 2, 3, 4]),
        (range(27, 50), [0, 3, 4]),
        (range(60, 61), [0, 4]),
        (range(61, 61), []),
    ],
)
def test_the_columns_that_frames_may_use_come_in_their_order(frames, columns):
    text = (
        TWO + "duration: 61f\nfps: 30\nloop: false\n"
        "blend: [a, top: {snapshot: {0f: 1 linear, 40f: 4 linear, 60f: 4}}]\n"
    )
    schedule = schedule_of(text, snapshots={"top": 4})
    found = schedule.columns_in(frames)
    assert found == columns
    used = {c for index in frames for c in np.flatnonzero(schedule.row(index).mix.any(axis=0))}
    assert used <= set(found)


def test_expressions_rule_over_the_rows_of_all_that_takes_keyframes():
    schedule = schedule_of(
        TWO
        + "duration: 4s\nfps: 10\ntruncation: {4..8: =0.5 + 0.1*sine(4s)}\n"
        + "blend: {swap: '=if(t % 4s < 2s, 4, 64)', alpha: =1/4, snapshot: =1 + abs(sine(4s))}\n"
        + "frame: {zoom: =1 + u*(1 - u), pan: =0.1*tri(2s) 0.2, rotate: =n % 40}\n",
        snapshots={"top": 2},
    )
    assert schedule.clip.loop
    row = schedule.row(10)
    np.testing.assert_allclose(row.mix, [[0.75, 0, 0.25]] * 8, atol=1e-12)
    np.testing.assert_allclose(row.psi[[0, -1]], [0.6, 1])
    lies = row.framing
    found = (lies.zoom, lies.pan_x, lies.pan_y, lies.rotate)
    assert found == pytest.approx((1.1875, 0, 0.2, 10))
    np.testing.assert_allclose(schedule.row(30).mix, [[1, 0, 0]] * 8)


def test_expressions_without_a_value_are_all_told_at_once():
    text = "duration: 4s\nloop: false\nblend: {swap: =8/t, alpha: =sqrt(-1 - t)}\n"
    divided, rooted = mistakes_of(TWO + text)
    assert (divided.mark.column, divided.message) == (16, "a division by zero at 0 s")
    assert (rooted.mark.column, rooted.message) == (29, "a root of a negative number at 0 s")


def test_a_wave_that_does_not_divide_the_clip_keeps_it_from_looping():
    schedule = schedule_of(TWO + "duration: 4s\nblend: {alpha: =sine(3s)}\n")
    assert not schedule.clip.loop
    assert "sine returns every 3 s, which does not divide the 4 s" in schedule.loop_reason
