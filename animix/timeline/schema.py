"""The schema: the language as a JSON Schema, so that an editor completes and underlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from animix.timeline.audio import AUDIO_KEYS, TEMPO_KEYS
from animix.timeline.clock import FASTEST_BPM, SLOWEST_BPM
from animix.timeline.eases import EASES
from animix.timeline.edits import EDIT_KEYS, SEFA
from animix.timeline.formats import CODECS, PIXEL_FORMATS
from animix.timeline.framing import FITS
from animix.timeline.latent_path import LATENT_KEYS, PATHS, SPACES
from animix.timeline.layers import LAYER_KEYS, QUANTITIES, TAKES
from animix.timeline.output import OUTPUT_KEYS
from animix.timeline.presets import presets
from animix.timeline.vocabulary import FRAME_KEYS, KEYS, NOISES, REUSE_KEYS

Schema = dict[str, Any]

_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_EASE = rf"({'|'.join(sorted(EASES, key=len, reverse=True))})(\s+{_NUMBER})*"


def timeline_schema() -> Schema:
    """The JSON Schema (draft 7, which yaml-language-server reads) that every timeline fulfils.

    It knows keys, words, eases and the shapes of values, so that an editor can complete and explain
    them. What only the whole timeline shows is told by ``animix check``.

    >>> timeline_schema()["else"]
    {'required': ['networks'], 'anyOf': [{'required': ['duration']}, {'required': ['audio']}]}
    """
    schema = _with_variables(_map(_described(_ROOT, KEYS), "A timeline of animix."))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "animix timeline",
        **schema,
        "properties": {**schema["properties"], **_described(_REUSE, REUSE_KEYS)},
        # What a base says needn't be said again.
        "if": {"required": ["extends"]},
        "else": {
            "required": ["networks"],
            "anyOf": [{"required": ["duration"]}, {"required": ["audio"]}],
        },
    }


def _with_variables(schema: Schema) -> Schema:
    """A schema that takes ``$name`` for every value in it, and ``null``, which removes a base's."""
    found = dict(schema)
    if "properties" in found:
        found["properties"] = {k: _or_variable(v) for k, v in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _or_variable(found[key])
    if "anyOf" in found:
        found["anyOf"] = [_with_variables(each) for each in found["anyOf"]]
    return found


def _or_variable(schema: Schema) -> Schema:
    """A schema, or a text with a variable in it; what editors show of it stays at the top."""
    inner = _with_variables(schema)
    told: Schema = {
        key: inner.pop(key) for key in ("description", "default", "examples") if key in inner
    }
    several = inner.pop("anyOf") if set(inner) == {"anyOf"} else [inner]
    return {**told, "anyOf": [*several, _VARIABLE]}


_VARIABLE: Schema = {"type": ["string", "null"], "pattern": r"\$\{?[A-Za-z_]"}


def _map(properties: Mapping[str, Schema], description: str = "") -> Schema:
    schema: Schema = {"type": "object", "additionalProperties": False}
    schema |= {"description": description} if description else {}
    return {**schema, "properties": dict(properties)}


def _described(table: Mapping[str, Schema], keys: Sequence[str]) -> dict[str, Schema]:
    """What a table says of some keys; KeyError for one that it doesn't know."""
    return {key: table[key] for key in keys}


def _words(description: str, words: Sequence[Any], default: Any = None) -> Schema:
    found: Schema = {"description": description, "enum": list(words)}
    return found if default is None else {**found, "default": default}


def _text(description: str, pattern: str = r"\S", *examples: str) -> Schema:
    found: Schema = {"description": description, "type": ["string", "number"], "pattern": pattern}
    return {**found, "examples": list(examples)} if examples else found


def _track(description: str, *words: str, numbers: int = 1, by_resolution: bool = False) -> Schema:
    """A value: constant, or a map of times to values; ``numbers`` of them, or a word."""
    one = "|".join([r"\s+".join([_NUMBER] * numbers), *words])
    # What an expression may say is for the reader to tell.
    value = rf"^\s*(({one})(\s*->\s*({one}))?(\s+{_EASE})?|.*=\s*\S.*)\s*$"
    text: Schema = {"type": ["number", "string"] if numbers == 1 else "string", "pattern": value}
    keys: Schema = {"type": "object", "additionalProperties": text}
    if by_resolution:
        keys = {"type": "object", "additionalProperties": {"anyOf": [text, keys]}}
    return {"description": description, "anyOf": [text, keys]}


_LATENT = {"type": ["integer", "string"]}
_TRACKS: Mapping[str, Schema] = {
    "alpha": _track(
        "Its share, a number or by resolution; outside 0..1 it extrapolates.", by_resolution=True
    ),
    "swap": _track("The resolution from which the network takes over.", *QUANTITIES["swap"].words),
    "width": _track("How many layers the crossing takes."),
    "take": _words("The resolutions from swap up, or those below.", TAKES, "high"),
    "snapshot": _track("The place in the network's run; 0 is what lies below.", "first", "last"),
}
_LAYER = _map(_described(_TRACKS, LAYER_KEYS))

_KEYED: Schema = {
    "type": "object",
    "propertyNames": {"not": {"enum": list(LATENT_KEYS)}},
    "additionalProperties": _LATENT,
}
_EDIT: Mapping[str, Schema] = {
    "direction": {
        "description": "A file with a direction in W, or sefa and a number.",
        "type": "string",
        "pattern": rf"^{SEFA}\s+\d+$|\.(npz|npy|pt)$",
    },
    "amount": _track("How far along it, in W.", by_resolution=True),
}
_LATENTS: Mapping[str, Schema] = {
    "seeds": {
        "description": "Seeds and files, a range such as 1..20, or a map of times to them.",
        "anyOf": [{"type": "array", "items": _LATENT}, _LATENT, _KEYED],
    },
    "every": _text("How long from one to the next.", r"\S", "2s"),
    "ease": _text("How each is left for the next.", rf"^\s*{_EASE}\s*$", "sine-in-out"),
    "space": _words("Where the path lies.", SPACES, "w"),
    "path": _words("Its shape.", PATHS, "spline"),
    "speed": _track("Relative speed along it."),
    "even": {"description": "Whether pictures change at an even rate.", "type": "boolean"},
    "edits": {
        "description": "Directions along which it is pushed.",
        "type": "array",
        "items": {**_map(_described(_EDIT, EDIT_KEYS)), "required": list(EDIT_KEYS)},
    },
}
_PATH: Sequence[Schema] = (
    _LATENT,
    {"type": "array", "items": _LATENT, "minItems": 1},
    _map(_described(_LATENTS, LATENT_KEYS)),
    _KEYED,
)

_FRAME: Mapping[str, Schema] = {
    "fit": _words("How the picture fills the canvas.", FITS, "blur"),
    "zoom": _track("About the canvas's centre."),
    "pan": _track("Right and down, in widths of the picture.", numbers=2),
    "rotate": _track("Degrees clockwise."),
    "background": {"description": 'A colour word or "#102030".', "type": "string"},
    "into": _text("A projected photo's .npz, into whose photo it is laid.", r"\.npz$", "me.npz"),
}

_AUDIO: Mapping[str, Schema] = {
    "file": {"description": "A sound, or a film with one.", "type": "string"},
    "start": _text("Where in the clip it begins."),
    "trim": _text("The part of the sound that is heard.", r"\S", "12s", "12s..40s"),
    "loop": {"description": "Whether it begins again where it ends.", "type": "boolean"},
    "fade-in": _text("A length."),
    "fade-out": _text("A length."),
    "attack": _text("How fast envelopes rise with it, a length.", r"\S", "20ms"),
    "release": _text("How fast envelopes fall with it, a length.", r"\S", "200ms"),
    "loudness": {"description": "LUFS, such as -14.", "type": "number"},
    "bpm": {
        "description": "Beats a minute; auto: found in the sound.",
        "anyOf": [
            {"type": "number", "minimum": SLOWEST_BPM, "maximum": FASTEST_BPM},
            {"enum": ["auto"]},
        ],
    },
    "first-beat": _text("Where in the clip bar 1 begins.", r"\S", "250ms"),
}

_SIZE = _text("Pixels.", r"^\s*\d+ ?[x×] ?\d+\s*$", "1080x1920")
_FPS = _text("Frames a second.", r"^\s*(\d+(\.\d*)?|\.\d+)(/\d+)?\s*$", "30", "30000/1001")
_OUTPUT: Mapping[str, Schema] = {
    "preset": _words("What a platform takes.", tuple(presets())),
    "file": {"description": "Where it goes: .mp4, .webm, .mov, .gif.", "type": "string"},
    "size": _SIZE,
    "fps": _FPS,
    "fit": _FRAME["fit"],
    "codec": _words("How it is encoded.", tuple(CODECS)),
    "encoder": _words("Which encoder does it.", [e for f in CODECS.values() for e in f.encoders]),
    "crf": {"description": "The quality, 0 without loss.", "type": "integer", "minimum": 0},
    "bitrate": _text("Bits a second, such as 8M.", r"^\s*\d+(\.\d+)? ?(k|kbps|M|Mbps)\s*$"),
    "pixel-format": _words("How its pixels are stored.", PIXEL_FORMATS),
}
_ONE_OUTPUT: Schema = {
    "anyOf": [
        _words("A preset.", tuple(presets())),
        {"type": "string", "pattern": r"\.(mp4|webm|mov|gif)$"},
        _map(_described(_OUTPUT, OUTPUT_KEYS)),
    ]
}

_ROOT: Mapping[str, Schema] = {
    "title": {"description": "What players show.", "type": ["string", "number"]},
    "size": _SIZE,
    "fps": _FPS,
    "duration": {**_text("How long the clip is.", r"\S", "6s"), "type": "string"},
    "loop": _words("Whether the end meets the beginning.", ("auto", True, False), "auto"),
    "networks": {
        "description": "Names for checkpoints: a file, a list of snapshots, or a glob.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": r"^[A-Za-z][A-Za-z0-9_]*$|\$"},
        "additionalProperties": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        },
    },
    "blend": {
        "description": "The layers from the bottom up; of two networks the second's tracks.",
        "anyOf": [
            _LAYER,
            {
                "type": "array",
                "minItems": 1,
                "items": {
                    "anyOf": [
                        {"type": "string"},
                        {
                            "type": "object",
                            "additionalProperties": _LAYER,
                            "minProperties": 1,
                            "maxProperties": 1,
                        },
                    ]
                },
            },
        ],
    },
    "mapping": {"description": "The network whose mapping is used.", "type": "string"},
    "latents": {
        "description": "Seeds and projected files, and their times, or those by resolution.",
        "anyOf": [
            *_PATH,
            {
                "type": "object",
                "propertyNames": {"pattern": r"^[0-9]+(\.\.[0-9]*)?$"},
                "additionalProperties": {"anyOf": list(_PATH)},
            },
        ],
    },
    "truncation": _track("Psi: 1 is all variety, 0 the average.", by_resolution=True),
    "label": _track("The class, of conditional networks.", r"\S.*"),
    "noise": {
        "description": "The grain: fixed, none, random, or going round in a circle.",
        "anyOf": [
            _words("", NOISES, "fixed"),
            _map({"loop": _text("How long the circle takes.", r"\S", "4s")}),
        ],
    },
    "frame": _map(_described(_FRAME, FRAME_KEYS), "How the picture lies on the canvas."),
    "audio": {
        "description": "The clip's sound.",
        "anyOf": [
            {"type": "string"},
            {**_map(_described(_AUDIO, AUDIO_KEYS)), "required": ["file"]},
            _map(_described(_AUDIO, TEMPO_KEYS), "A tempo alone; the clip is silent."),
        ],
    },
    "markers": {
        "description": "Names for places in the clip, such as drop: bar 5.",
        "type": "object",
        "additionalProperties": _text("A time.", r"\S", "bar 5", "drop + 4bar", "12s"),
    },
    "sections": {
        "description": "Names for parts of the clip, such as hook: drop..outro.",
        "type": "object",
        "additionalProperties": _text("FROM..TO.", r"\.\.", "drop..outro"),
    },
    "output": {
        "description": "What is written: a preset, a file, a map, or several of them.",
        "anyOf": [_ONE_OUTPUT, {"type": "array", "items": _ONE_OUTPUT, "minItems": 1}],
    },
}

_NAMES: Schema = {"pattern": r"^[A-Za-z_][A-Za-z0-9_]*$"}
_REUSE: Mapping[str, Schema] = {
    "extends": {
        "description": "A timeline that says what this one doesn't; null removes what it says.",
        "type": "string",
    },
    "vars": {
        "description": 'Values by name: $name, and in a text "${name}", stand for them.',
        "type": ["object", "null"],
        "propertyNames": _NAMES,
    },
    "variants": {
        "description": "Many clips of one timeline: values of $name or of a dotted key.",
        "anyOf": [
            {"type": "object", "minProperties": 1},
            {"type": "array", "items": {"type": "object", "minProperties": 1}, "minItems": 1},
            _VARIABLE,
        ],
    },
}
