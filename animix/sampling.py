"""Sampling: a timeline's curves and the facts of its networks joined into a schedule. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from animix.errors import Mistake, TimelineError
from animix.latents import Direction, KeyPath, moments_at, slerp, spline, straight, z_of_seed
from animix.networks.facts import NetworkFacts
from animix.schedule import (
    Column,
    EditSamples,
    FrameSamples,
    LayerSamples,
    PathSamples,
    Schedule,
)
from animix.timeline.arrays import Floats, Integers
from animix.timeline.curves import Curve, resolve
from animix.timeline.edits import told
from animix.timeline.instants import Instants, even, union_of
from animix.timeline.keyframes import Clip, Track, Value
from animix.timeline.seams import open_seams, speeds, tracks
from animix.timeline.speed import travelled
from animix.timeline.timeline import Bands, BlendLayer, Edit, LatentBand, Latents, Timeline
from animix.timeline.walk import shifted, walk
from animix.video.hearing import hear

SLERP_FRAMES = 4096
FINE = 1 << 20
"""Parts of a frame in which a walk at another speed is told: exact enough for any, and whole."""


def make_schedule(
    timeline: Timeline,
    facts: NetworkFacts,
    columns: Sequence[Column],
    directions: Mapping[int | str, Direction] = MappingProxyType({}),
    lengths: Mapping[int, Floats] = MappingProxyType({}),
    instants: Instants | None = None,
) -> Schedule:
    """Join a timeline's curves with what its networks are like, for the frames of all outputs.

    ``columns`` are the networks of the stack, each run's snapshots in order; ``directions`` has
    those of its edits, and ``lengths`` those of its paths, by their numbers, that are to be even,
    as ``moments_at`` takes them; those of a grid's further paths are counted on. Other ``instants``
    may be asked for than those of its frames.
    Raises TimelineError with everything that the timeline asks of these networks and they can't do.
    """
    bound = bind(timeline, facts, columns)
    mistakes = list(misfits(bound, facts))
    clip, loop_reason, seams = decide_loop(bound)
    if instants is None:
        rates = dict.fromkeys(output.fps or clip.fps for output in bound.outputs)
        instants = union_of([even(clip.num_frames_at(rate), rate) for rate in rates])
    sampler = _Sampler(clip, instants, [*mistakes, *seams])
    frame = bound.frame
    bands = [(band, w_indices(band, facts)) for band in bound.latents]
    paths = sampler.paths(bound, facts, lengths)
    schedule = Schedule(
        clip=clip,
        instants=instants,
        loop_reason=loop_reason,
        facts=facts,
        columns=tuple(columns),
        layers=tuple(
            LayerSamples(
                columns=_places(columns, layer.network),
                position=sampler.values(layer.snapshot),
                swap_octaves=sampler.octaves(layer.swap),
                width=sampler.values(layer.width),
                alpha=sampler.bands(layer.alpha, facts.resolutions),
                take=layer.take,
            )
            for layer in bound.blend
        ),
        paths=paths[0],
        further_paths=tuple(paths[1:]),
        grid=bound.grid,
        psi=sampler.bands(bound.truncation, facts.ws_resolutions),
        edits=tuple(
            EditSamples(directions[edit.direction], sampler.amount(edit, indices, facts))
            for band, indices in bands
            for edit in band.path.edits
            if edit.direction in directions  # else it is a mistake that is already noted
        ),
        classes=sampler.classes(bound.label) if bound.label else None,
        noise=bound.noise,
        frame=FrameSamples(
            fit=frame.fit,
            zoom=sampler.values(frame.zoom),
            pan_x=sampler.values(frame.pan_x),
            pan_y=sampler.values(frame.pan_y),
            rotate=sampler.values(frame.rotate),
            background=frame.background,
        ),
        clock=bound.clock,
    )
    if sampler.mistakes:
        raise TimelineError(dict.fromkeys(sampler.mistakes))
    return schedule


def bind(timeline: Timeline, facts: NetworkFacts, columns: Sequence[Column]) -> Timeline:
    """Give the words all, none, first and last the numbers that they mean for these networks."""
    top = 2.0 * facts.img_resolution
    layers = []
    for number, layer in enumerate(timeline.blend):
        last = float(len(_places(columns, layer.network)))
        whole, nothing = (4.0, top) if layer.take == "high" else (top, 4.0)
        layers.append(
            replace(
                layer,
                swap=_bound(layer.swap, {"all": whole, "none": nothing}, 4.0, top),
                snapshot=_bound(
                    layer.snapshot, {"first": 1.0, "last": last}, 0.0 if number else 1.0, last
                ),
            )
        )
    return replace(timeline, blend=tuple(layers))


def misfits(bound: Timeline, facts: NetworkFacts) -> Iterator[Mistake]:
    """Everything that a bound timeline asks of its networks and they can't do."""
    for layer in bound.blend:
        yield from _beyond(
            layer.swap,
            f"{layer.network} makes {facts.img_resolution} px: swap goes from 4 to "
            f"{2 * facts.img_resolution}, and all and none are its ends",
        )
        yield from _beyond(layer.snapshot, _snapshot_hint(layer))
    home = bound.networks[bound.mapping]
    if facts.c_dim and bound.label is None:
        yield Mistake(
            home.mark,
            f"{home.name} is conditional: say which class",
            f"write label: with a number from 0 to {facts.c_dim - 1}",
        )
    for value, mark in bound.label.values() if bound.label else ():
        if not facts.c_dim:
            yield Mistake(mark, f"{home.name} has no classes", "leave label out")
        elif isinstance(value, float) and value >= facts.c_dim:
            yield Mistake(
                mark, f"class {value:g} of {home.name}", f"its classes are 0 to {facts.c_dim - 1}"
            )
    yield from _latent_misfits(bound, facts)


def _latent_misfits(bound: Timeline, facts: NetworkFacts) -> Iterator[Mistake]:
    """As ``misfits``, of the latents."""
    for band in bound.latents:
        for key in band.path.keys if band.path.space == "z" else ():
            if isinstance(key.source, str):
                yield Mistake(
                    key.mark, "a projected file lies in W, not in z", "write space: w, or use seeds"
                )
        for edit in band.path.edits:
            if isinstance(edit.direction, int) and edit.direction > facts.w_dim:
                yield Mistake(
                    edit.mark,
                    f"{told(edit.direction)}: this network has {facts.w_dim} directions",
                    "the first ones change pictures most",
                )
    ruled = {index for band in bound.latents for index in w_indices(band, facts)}
    bare = [r for index, r in enumerate(facts.ws_resolutions) if index not in ruled]
    if bare:
        first, last = min(bare), max(bare)
        missing = f"{first}" if first == last else f"{first}..{last}"
        mark = min((band.path.mark for band in bound.latents), key=lambda m: (m.line, m.column))
        hint = "each resolution of the networks has one: 4..32: …, 64..: …"
        yield Mistake(mark, f"latents has no path for {missing}", hint)


def w_indices(band: LatentBand, facts: NetworkFacts) -> range:
    """The w indices that a path rules; those of a resolution stand together, in ascending order."""
    ruled = [
        index
        for index, resolution in enumerate(facts.ws_resolutions)
        if band.low <= resolution and (band.high is None or resolution <= band.high)
    ]
    return range(ruled[0], ruled[-1] + 1) if ruled else range(0)


def decide_loop(bound: Timeline) -> tuple[Clip, str, list[Mistake]]:
    """The clip, one line on why it loops or doesn't, and the mistakes if it should and can't."""
    if bound.loop is False:
        return _heard(bound, loop=False), "does not loop: the timeline says loop: false", []
    clip = _heard(bound, loop=True)
    mistakes = open_seams(bound, clip)
    if not mistakes:
        return clip, "loops: every track meets itself at the seam", []
    if bound.loop is True:
        return clip, "", mistakes
    reason = mistakes[0].message.removeprefix("seam: ")
    return _heard(bound, loop=False), f"does not loop: {reason}", []


def _heard(bound: Timeline, *, loop: bool) -> Clip:
    """The clip, with its sound where a track asks for it."""
    clip = bound.clip(loop)
    hearing = (
        each.hears for track in (*tracks(bound), *speeds(bound)) for each in track.expressions()
    )
    if bound.audio is None or not any(hearing):
        return clip
    return replace(clip, sound=hear(bound.audio, clip))


def _bound(track: Track, words: Mapping[str, float], low: float, high: float) -> Track:
    """A track whose words are numbers and that stays inside its range."""

    def number(value: Value) -> Value:
        return words.get(value, value) if isinstance(value, str) else value

    return replace(track.with_values(number), low=low, high=high)


def _beyond(track: Track, hint: str) -> Iterator[Mistake]:
    """A mistake for each written value outside the track's range."""
    for value, mark in track.values():
        if isinstance(value, float) and track.low is not None and track.high is not None:
            if value > track.high:
                yield Mistake(mark, f"{track.name}: {value:g} is above {track.high:g}", hint)
            elif value < track.low:
                yield Mistake(mark, f"{track.name}: {value:g} is below {track.low:g}", hint)


def _snapshot_hint(layer: BlendLayer) -> str:
    low, last = layer.snapshot.low or 0.0, layer.snapshot.high or 0.0
    below = "nothing lies below the base" if low else "0 is what lies below"
    return f"{layer.network} has {last:g} snapshot{'s' if last > 1 else ''}, and {below}"


def _places(columns: Sequence[Column], network: str) -> tuple[int, ...]:
    return tuple(place for place, column in enumerate(columns) if column.network == network)


class _Sampler:
    """Samples the tracks of one clip and collects the mistakes that come to light."""

    def __init__(self, clip: Clip, instants: Instants, mistakes: list[Mistake]) -> None:
        self.clip = clip
        self.instants = instants
        self.mistakes = mistakes

    def values(self, track: Track) -> Floats:
        """One value a frame, or one for all."""
        curve = self._curve(track)
        try:
            if curve is not None:
                return curve.sample(self._when(track), self.instants.rate)
        except TimelineError as error:
            self.mistakes.extend(error.mistakes)
        return np.ones(1)

    def octaves(self, track: Track) -> Floats:
        """One log2 a frame, or one for all."""
        curve = self._curve(track)
        try:
            if curve is not None:
                return curve.sample_natural(self._when(track), self.instants.rate)
        except TimelineError as error:
            self.mistakes.extend(error.mistakes)
        return np.full(1, 2.0)

    def bands(self, bands: Bands, resolutions: Sequence[int]) -> tuple[Floats, ...]:
        """For each resolution the values of the track that rules it."""
        unlisted = np.full(1, bands.unlisted)
        sampled = {id(band.track): self.values(band.track) for band in bands.bands}
        ruling = [bands.track_at(resolution) for resolution in resolutions]
        return tuple(unlisted if track is None else sampled[id(track)] for track in ruling)

    def classes(self, label: Track) -> KeyPath | None:
        """Between two classes both take part, in shares of 0..1."""
        curve = self._curve(label)
        if curve is None:
            return None
        way = curve.progress(self._when(label), self.instants.rate)
        starts, stops = _numbers(curve)
        eased = np.clip(_smooth(curve, way.before, way.share), 0, 1)
        return straight(starts[way.before], stops[way.after], eased)

    def amount(self, edit: Edit, indices: range, facts: NetworkFacts) -> tuple[Floats, ...]:
        """How far an edit pushes each w index; those that its path doesn't rule it leaves alone."""
        nothing = np.zeros(1)
        amounts = enumerate(self.bands(edit.amount, facts.ws_resolutions))
        return tuple(amount if index in indices else nothing for index, amount in amounts)

    def paths(
        self, bound: Timeline, facts: NetworkFacts, lengths: Mapping[int, Floats]
    ) -> list[tuple[PathSamples, ...]]:
        """The paths by resolution of each path of the grid."""
        found: list[tuple[PathSamples, ...]] = []
        for number in range(bound.grid.num_paths):
            parts: list[PathSamples] = []
            for place, band in enumerate(shifted(bound.latents, number)):
                latents, indices = band.path, w_indices(band, facts)
                length = lengths.get(number * len(bound.latents) + place)
                if not indices:
                    continue
                # In W paths of other seeds go the same way, unless that is measured.
                if number and latents.space == "w" and length is None:
                    path = found[0][len(parts)].path
                else:
                    path = self.path(latents, facts.z_dim, length)
                sources = tuple(key.source for key in latents.keys)
                parts.append(PathSamples(indices, sources, latents.space, path))
            found.append(tuple(parts))
        return found

    def path(self, latents: Latents, z_dim: int, lengths: Floats | None = None) -> KeyPath:
        """The keys of a latent path and their weights."""
        track = walk(latents, self.clip)
        curve = self._curve(track)
        if curve is None:
            return straight(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1))
        way = curve.progress(*self._walked(latents, track, lengths))
        starts, stops = _numbers(curve)
        if latents.space == "z":
            # A projected file in z is a mistake that is already noted; any z will do for it.
            seeds = [key.source if isinstance(key.source, int) else 0 for key in latents.keys]
            zs = np.concatenate([z_of_seed(seed, z_dim) for seed in seeds])
            return _slerp(straight(starts[way.before], stops[way.after], way.share), zs)
        if latents.path == "linear":
            return straight(starts[way.before], stops[way.after], way.share)
        held = np.array(
            [ease is not None and ease.name in ("hold", "steps") for ease in curve.eases]
        )
        path = spline(
            np.array([float(time) for time in curve.times]),
            way.before,
            way.share,
            rests=held | np.roll(held, 1) | (starts != stops),
            period=float(self.clip.end_seconds) if self.clip.loop else None,
        )
        # A key that is left with another latent than it was reached with stands for two.
        sides = [starts[path.keys[:, :2]], stops[path.keys[:, 2:]]]
        return KeyPath(np.concatenate(sides, axis=1), path.weights)

    def _walked(
        self, latents: Latents, track: Track, lengths: Floats | None
    ) -> tuple[Integers, Fraction]:
        """The moments of a walk that frames show, and the rate at which they count."""
        instants, speed = self.instants, latents.speed
        moves = speed is not None and not speed.is_constant
        if track.is_constant or not (moves or lengths is not None):
            return self._when(track), instants.rate
        end = self.clip.end_seconds
        shares = np.minimum(instants.numbers / float(instants.rate * end), 1)
        try:
            if moves and speed is not None:
                shares = travelled(speed, self.clip, instants)
        except TimelineError as error:
            self.mistakes.extend(error.mistakes)
        if lengths is not None:
            shares = moments_at(lengths, shares)
        rate = self.clip.fps * FINE
        return np.rint(shares * float(end * rate)).astype(np.int64), rate

    def _curve(self, track: Track) -> Curve | None:
        try:
            return resolve(track, self.clip)
        except TimelineError as error:
            self.mistakes.extend(error.mistakes)
            return None

    def _when(self, track: Track) -> Integers:
        numbers = self.instants.numbers
        return numbers[:1] if track.is_constant else numbers


def _numbers(curve: Curve) -> tuple[Integers, Integers]:
    """The classes or latents with which each key is left, and reached."""
    return curve.values.astype(np.int64), curve.arrivals.astype(np.int64)


def _slerp(path: KeyPath, zs: Floats) -> KeyPath:
    """As ``slerp``, some frames at a time: it holds two z of each."""
    parts = [
        slerp(KeyPath(path.keys[start:stop], path.weights[start:stop]), zs)
        for start in range(0, len(path.keys), SLERP_FRAMES)
        for stop in [start + SLERP_FRAMES]
    ]
    keys, weights = [part.keys for part in parts], [part.weights for part in parts]
    return KeyPath(np.concatenate(keys), np.concatenate(weights))


def _smooth(curve: Curve, before: Integers, share: Floats) -> Floats:
    """Shares of a way without an ease, with the soft start and end that numbers get."""
    plain = np.array([ease is None for ease in curve.eases])[before]
    return np.where(plain, share * share * (3 - 2 * share), share)
