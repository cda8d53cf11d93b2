"""The schema takes every timeline that the reader takes, and underlines what an editor can see."""

import copy
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from animix import demo
from animix.cli.commands import app
from animix.errors import TimelineError
from animix.timeline.reader import read_timeline
from animix.timeline.schema import timeline_schema
from animix.timeline.vocabulary import REUSE_KEYS

ROOT = Path(__file__).parent.parent
TIMELINES = [demo.TIMELINE, *sorted((ROOT / "timelines").glob("*.yaml"))]
SMALL = {"networks": {"faces": "ffhq.pkl", "art": "art-*.pkl"}, "duration": "6s"}


def blocks_of_the_language():
    page = (ROOT / "docs" / "timeline.md").read_text(encoding="utf-8")
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        lines = [line for line in block.splitlines() if line.strip()]
        if all(re.match(r"[a-z-]+:", line) for line in lines) and len(lines) > 1:
            yield from lines  # alternatives, one a line
        else:
            yield block


def errors(document):
    validator = jsonschema.Draft7Validator(timeline_schema())
    return [error.message for error in validator.iter_errors(document)]


@pytest.mark.parametrize("bpm", ["auto", 128, 140.5])
def test_a_tempo_is_a_number_or_auto(bpm):
    assert not errors(SMALL | {"audio": {"file": "song.wav", "bpm": bpm, "release": "1b"}})


def test_it_is_a_schema_of_draft_7():
    schema = timeline_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("path", TIMELINES, ids=lambda path: path.name)
def test_every_example_fulfils_it(path):
    assert errors(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("text", list(blocks_of_the_language()))
def test_every_example_of_the_language_fulfils_it(text):
    document = yaml.safe_load(text)
    tracks = timeline_schema()["properties"]["blend"]["anyOf"][0]["properties"]
    if set(document) <= set(tracks):
        document = {"blend": document}
    assert errors({**SMALL, **document}) == []


MISTAKES = {
    "an unknown key": {"durations": "6s"},
    "an unknown ease": {"blend": {"swap": {"0%": "none", "2s": "64 ease-inn"}}},
    "an unknown track": {"blend": [{"art": {"swapp": 64}}]},
    "a word that is no swap": {"blend": {"swap": "everything"}},
    "take of something else": {"blend": {"take": "middle"}},
    "an unknown fit": {"frame": {"fit": "fill"}},
    "an unknown preset": {"output": "tictoc"},
    "an unknown codec in a list": {"output": ["reels", {"codec": "h266", "file": "a.mp4"}]},
    "a loop that is a number": {"loop": 3},
    "noise of another kind": {"noise": "brown"},
    "a duration without a unit": {"duration": 6},
    "a size that is none": {"size": "large"},
    "no networks": {"networks": {}},
    "a network's name with a space": {"networks": {"my faces": "a.pkl"}},
    "a sound without a file": {"audio": {"start": "1s"}},
    "a tempo of another word": {"audio": {"file": "song.wav", "bpm": "fast"}},
    "a tempo of 0": {"audio": {"bpm": 0}},
    "a pan of one number": {"frame": {"pan": 0.5}},
    "a grid of no rows": {"grid": "3x0"},
    "a grid of one number": {"grid": "6"},
    "an unknown overlay": {"overlay": "swap"},
    "an unknown overlay in a list": {"overlay": ["mix", "names"]},
    "a view shown twice": {"show": ["faces", "faces"]},
    "no views": {"show": []},
    "a variable's name with a space": {"vars": {"my face": 3}},
    "vars that are a list": {"vars": [3]},
    "variants that are one value": {"variants": 3},
    "a base that is a list": {"extends": ["base.yaml"]},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_underlined_that_the_reader_finds_as_well(mistake):
    document = copy.deepcopy(SMALL) | MISTAKES[mistake]
    assert errors(document)
    with pytest.raises(TimelineError):
        read_timeline(yaml.safe_dump(document), ROOT / "reel.yaml")


def test_the_command_writes_it(tmp_path):
    target = tmp_path / "animix.schema.json"
    told = CliRunner().invoke(app, ["schema", "--output", str(target)])
    assert told.exit_code == 0 and "yaml-language-server" in told.output
    assert json.loads(target.read_text(encoding="utf-8")) == timeline_schema()
    assert json.loads(CliRunner().invoke(app, ["schema"]).output) == timeline_schema()


def paths_of(schema):
    """The keys that lead to each value that a schema describes."""
    for key, value in schema.get("properties", {}).items():
        yield (key,)
        yield from ((key, *rest) for rest in paths_of(value))
    for one in schema.get("anyOf", ()):
        yield from paths_of(one)


@pytest.mark.parametrize("value", ["$it", "over ${it} ease-in", None])
def test_any_value_may_be_a_variable_or_null(value):
    paths = {path for path in paths_of(timeline_schema()) if path[0] not in REUSE_KEYS}
    assert {("size",), ("frame", "fit"), ("blend", "take"), ("output", "crf")} <= paths
    for path in paths:
        document = value
        for key in reversed(path):
            document = {key: document}
        if path[0] == "audio" and len(path) == 2:
            document["audio"] = {"file": "a.wav", **document["audio"]}
        assert errors({**SMALL, **document}) == [], path


def test_what_a_base_says_is_not_missed():
    assert errors({"extends": "base.yaml", "audio": None}) == []


@pytest.mark.parametrize("missing", ["networks", "duration"])
def test_what_is_required_is_missed(missing):
    document = {key: value for key, value in SMALL.items() if key != missing}
    assert len(errors(document)) == 1


def test_a_sound_says_how_long_a_clip_is():
    assert errors({"networks": SMALL["networks"], "audio": "song.mp3"}) == []
