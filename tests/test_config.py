# ruff: noqa: E501
"""What a person reads when a file is wrong: every message in full, on a model that has each kind of field."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, Field, model_validator

from pipeline.config import MAX_BYTES, ConfigError, Finding, Options, dump, load, locate
from pipeline.yaml_nodes import resolve


def _even(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd; choose an even number")
    return value


class Disc(Options):
    kind: Literal["disc"]
    radius: float = Field(gt=0, description="In metres.")


class Box(Options):
    kind: Literal["box"]
    sides: tuple[float, float]
    open: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Box":
        if self.sides[0] > self.sides[1]:
            raise ValueError("sides go from the shorter to the longer")
        return self


Shape = Annotated[Disc | Box, Field(discriminator="kind")]


class Point(Options):
    x: int = 0
    y: int = 0


class Toy(Options):
    name: str = Field(pattern="^[a-z]+$", description="What it is called.")
    count: Annotated[int, AfterValidator(_even)] = Field(0, ge=0, le=1000)
    rate: float | None = None
    exact: bool = True
    mode: Literal["fast", "careful"] = "fast"
    words: tuple[str, ...] = Field((), max_length=3)
    shapes: tuple[Shape, ...] = ()
    named: dict[Annotated[str, Field(pattern="^[a-z]+$")], Shape] = Field(default_factory=dict)
    weights: dict[str, float] = Field(default_factory=dict)
    either: int | str = 0
    point: Point = Point()
    folder: Path = Path("out")


REST = "count, rate, exact, mode, words, shapes, named, weights, either, point, folder"

CASES = {
    "unknown key, a name is near": (
        "name: a\ncuont: 2\n",
        (),
        f"toy.yaml:2:1: cuont: unknown key; did you mean count? Allowed here: {REST}",
    ),
    "unknown key, no name is near": (
        "name: a\nqqq: 2\n",
        (),
        f"toy.yaml:2:1: qqq: unknown key; allowed here: {REST}",
    ),
    "unknown key below": (
        "name: a\npoint: {x: 1, z: 2}\n",
        (),
        "toy.yaml:2:15: point.z: unknown key; allowed here: y",
    ),
    "unknown key of a union member": (
        "name: a\nshapes:\n  - kind: disc\n    radius: 1\n    sides: 2\n",
        (),
        "toy.yaml:5:5: shapes.0.sides: unknown key for kind: disc; it is one of kind: box. Allowed here: kind, radius",
    ),
    "unknown key that is called like the tag": (
        "name: a\nshapes:\n  - kind: disc\n    disc: 1\n",
        (),
        "toy.yaml:3:5: shapes.0.radius: missing; expected a number (> 0): In metres.",
        "toy.yaml:4:5: shapes.0.disc: unknown key; allowed here: radius",
    ),
    "missing key": (
        "count: 2\n",
        (),
        "toy.yaml:1:1: name: missing; expected text (characters a-z): What it is called.",
    ),
    "missing key of a union member": (
        "name: a\nnamed:\n  x: {kind: disc}\n",
        (),
        "toy.yaml:3:3: named.x.radius: missing; expected a number (> 0): In metres.",
    ),
    "missing tag": (
        "name: a\nshapes: [{radius: 1}]\n",
        (),
        "toy.yaml:2:10: shapes.0.kind: missing; expected one of disc, box",
    ),
    "wrong tag": (
        "name: a\nshapes: [{kind: disk, radius: 1}]\n",
        (),
        "toy.yaml:2:17: shapes.0.kind: expected one of disc, box, found the text 'disk'; did you mean disc?",
    ),
    "tag that is no text": (
        "name: a\nshapes: [{kind: 3}]\n",
        (),
        "toy.yaml:2:17: shapes.0.kind: expected one of disc, box, found the number 3",
    ),
    "union entry that is no mapping": (
        "name: a\nshapes: [disc]\n",
        (),
        "toy.yaml:2:10: shapes.0: expected a mapping with kind: disc, box, found the text 'disc'; a mapping is written as lines `key: value`, indented, below the key",
    ),
    "number in quotes": (
        'name: a\ncount: "5"\n',
        (),
        "toy.yaml:2:8: count: expected an integer (>= 0, <= 1000), found the text '5'; write 5",
    ),
    "number for text": (
        "name: 2026\n",
        (),
        'toy.yaml:1:7: name: expected text (characters a-z), found the number 2026; for text write "2026"',
    ),
    "number with a point for text": (
        "name: 1.10\n",
        (),
        'toy.yaml:1:7: name: expected text (characters a-z), found the number 1.10; for text write "1.10"',
    ),
    "truth for text": (
        "name: true\n",
        (),
        'toy.yaml:1:7: name: expected text (characters a-z), found true; for text write "true"',
    ),
    "number with a point for an integer": (
        "name: a\ncount: 1.5\n",
        (),
        "toy.yaml:2:8: count: expected an integer (>= 0, <= 1000), found the number 1.5",
    ),
    "text for a number": (
        "name: a\nrate: much\n",
        (),
        "toy.yaml:2:7: rate: expected a number, found the text 'much'",
    ),
    "truth for a number": (
        "name: a\nrate: true\n",
        (),
        "toy.yaml:2:7: rate: expected a number, found true",
    ),
    "digits in groups": (
        "name: a\ncount: 1_0\n",
        (),
        "toy.yaml:2:8: count: expected an integer (>= 0, <= 1000), found the text '1_0'; write 10",
    ),
    "yes for truth": (
        "name: a\nexact: yes\n",
        (),
        "toy.yaml:2:8: exact: expected true or false, found the text 'yes'; write true",
    ),
    "off for truth": (
        "name: a\nexact: off\n",
        (),
        "toy.yaml:2:8: exact: expected true or false, found the text 'off'; write false",
    ),
    "one for truth": (
        "name: a\nexact: 1\n",
        (),
        "toy.yaml:2:8: exact: expected true or false, found the number 1; write true",
    ),
    "below the bound": (
        "name: a\ncount: -2\n",
        (),
        "toy.yaml:2:8: count: expected an integer (>= 0, <= 1000), found the number -2",
    ),
    "above the bound": (
        "name: a\ncount: 1002\n",
        (),
        "toy.yaml:2:8: count: expected an integer (>= 0, <= 1000), found the number 1002",
    ),
    "validator of a value": (
        "name: a\ncount: 7\n",
        (),
        "toy.yaml:2:8: count: 7 is odd; choose an even number",
    ),
    "validator of a mapping": (
        "name: a\nshapes:\n  - kind: box\n    sides: [2, 1]\n",
        (),
        "toy.yaml:3:5: shapes.0: sides go from the shorter to the longer",
    ),
    "nothing for a mapping": (
        "name: a\npoint:\n",
        (),
        "toy.yaml:2:7: point: expected a mapping with keys x, y, found nothing; write its keys below it, indented, or remove the line",
    ),
    "list for a mapping": (
        "name: a\npoint: [1, 2]\n",
        (),
        "toy.yaml:2:8: point: expected a mapping with keys x, y, found a list of 2; a mapping is written as lines `key: value` without dashes",
    ),
    "mapping for a list": (
        "name: a\nwords: {a: 1}\n",
        (),
        "toy.yaml:2:8: words: expected a list (at most 3 entries), each entry text, found a mapping (a); a list has a dash before each entry",
    ),
    "mapping for text": (
        "name: {a: 1, b: 2, c: 3, d: 4}\n",
        (),
        'toy.yaml:1:7: name: expected text (characters a-z), found a mapping (a, b, c, ...); put text that holds ": " in quotes',
    ),
    "text for a list": (
        "name: a\nwords: one\n",
        (),
        "toy.yaml:2:8: words: expected a list (at most 3 entries), each entry text, found the text 'one'; write [one]",
    ),
    "too long a list": (
        "name: a\nwords: [a, b, c, d]\n",
        (),
        "toy.yaml:2:8: words: expected a list (at most 3 entries), each entry text, found a list of 4",
    ),
    "entry of a list": (
        "name: a\nwords: [a, 2]\n",
        (),
        'toy.yaml:2:12: words.1: expected text, found the number 2; for text write "2"',
    ),
    "too short a pair": (
        "name: a\nshapes: [{kind: box, sides: [1]}]\n",
        (),
        "toy.yaml:2:22: shapes.0.sides.1: missing; expected a number",
    ),
    "entry of a pair": (
        "name: a\nshapes: [{kind: box, sides: [1, x]}]\n",
        (),
        "toy.yaml:2:33: shapes.0.sides.1: expected a number, found the text 'x'",
    ),
    "word of a choice": (
        "name: a\nmode: fats\n",
        (),
        "toy.yaml:2:7: mode: expected one of fast, careful, found the text 'fats'; did you mean fast?",
    ),
    "pattern": (
        "name: My Name\n",
        (),
        "toy.yaml:1:7: name: expected text (characters a-z), found the text 'My Name'",
    ),
    "pattern of a key": (
        "name: a\nnamed:\n  X: {kind: disc, radius: 1}\n",
        (),
        "toy.yaml:3:3: named.X: expected as a key text (characters a-z), found 'X'; write x",
    ),
    "value of a mapping": (
        "name: a\nweights: {a: 1, b: c}\n",
        (),
        "toy.yaml:2:20: weights.b: expected a number, found the text 'c'",
    ),
    "neither of two types": (
        "name: a\neither: 1.5\n",
        (),
        "toy.yaml:2:9: either: expected an integer or text, found the number 1.5",
    ),
    "infinite": (
        "name: a\nrate: .inf\n",
        (),
        "toy.yaml:2:7: rate: .inf is not a finite number",
    ),
    "not a number": (
        "name: a\nrate: .NaN\n",
        (),
        "toy.yaml:2:7: rate: .NaN is not a finite number",
    ),
    "huge integer": (
        "name: a\ncount: " + "9" * 5000 + "\n",
        (),
        "toy.yaml:2:8: count: 9999999999999999999999999999999999999... is too large for an integer of 64 bits",
    ),
    "huge float": (
        "name: a\nrate: 1e999\n",
        (),
        "toy.yaml:2:7: rate: 1e999 is too large for a number of 64 bits",
    ),
    "leading zero": (
        "name: a\ncount: 010\n",
        (),
        'toy.yaml:2:8: count: 010 may be octal; write 10, 0o... for octal, or "..." for text',
    ),
    "key twice": (
        "name: a\ncount: 2\nname: b\n",
        (),
        "toy.yaml:3:1: name: the key is there twice, first on line 1; remove one",
    ),
    "key twice below, and another error": (
        "name: a\npoint: {x: 1, x: 2}\nexact: 1\n",
        (),
        "toy.yaml:2:15: point.x: the key is there twice, first on line 2; remove one",
        "toy.yaml:3:8: exact: expected true or false, found the number 1; write true",
    ),
    "alias bomb": (
        "name: &a [x]\nwords: [*a, *a]\n",
        (),
        "toy.yaml:1:7: name: anchors are not read (&a); write the value, or quote it",
        "toy.yaml:2:9: words.0: aliases are not read (*a); write the value, or quote it",
        "toy.yaml:2:13: words.1: aliases are not read (*a); write the value, or quote it",
    ),
    "alias meant as text": (
        "name: a\nfolder: *.yaml\n",
        (),
        "toy.yaml:2:9: text may not begin with *; put it in quotes",
    ),
    "tag that would run code": (
        "name: !!python/object/apply:os.system [ls]\n",
        (),
        "toy.yaml:1:7: name: tags are not read (tag:yaml.org,2002:python/object/apply...); remove it, and quote what is text",
    ),
    "tag for text": (
        "name: !!str 5\n",
        (),
        "toy.yaml:1:7: name: tags are not read (tag:yaml.org,2002:str); remove it, and quote what is text",
    ),
    "list as a key": (
        "name: a\n? [x]\n: 1\n",
        (),
        "toy.yaml:2:3: a key must be a word; found a list, a mapping or an alias as key",
    ),
    "merge": (
        "name: a\npoint: {<<: {x: 1}}\n",
        (),
        "toy.yaml:2:9: point.<<: unknown key; allowed here: x, y",
    ),
    "second document": (
        "name: a\n---\nname: b\n",
        (),
        "toy.yaml:3:1: a second YAML document begins here; a file holds one: remove the --- above, or what follows it",
    ),
    "tab": (
        "name: a\npoint:\n\tx: 1\n",
        (),
        "toy.yaml:3:1: a tab stands here; use spaces, not tabs",
    ),
    "open bracket": (
        "name: a\nwords: [a\n",
        (),
        "toy.yaml:2:8: the [ that opens here is never closed; add ]",
    ),
    "colon in text": (
        "name: a: b\n",
        (),
        'toy.yaml:1:8: the text here holds ": "; put it in quotes',
    ),
    "character that begins nothing": (
        "name: @a\n",
        (),
        "toy.yaml:1:7: text may not begin with @; put it in quotes",
    ),
    "control character": (
        "name: a\x07\n",
        (),
        "toy.yaml:1:8: the character U+0007 may not stand in YAML; remove it, or write it as an escape in double quotes",
    ),
    "half a character": (
        'name: "\\ud800"\n',
        (),
        "toy.yaml:1:7: name: the text holds half of a surrogate pair, which is not valid Unicode",
    ),
    "half a character in a key": (
        'name: a\n"\\ud800": 1\n',
        (),
        "toy.yaml:2:1: a key holds half of a surrogate pair, which is not valid Unicode",
    ),
    "too deep": (
        "name: " + "[" * 40 + "\n",
        (),
        "toy.yaml:1:39: nested deeper than 32 levels",
    ),
    "empty": (
        "",
        (),
        f"toy.yaml:1:1: the file is empty; it needs name; allowed too: {REST}",
    ),
    "only a comment": (
        "# nothing\n",
        (),
        f"toy.yaml:1:1: the file is empty; it needs name; allowed too: {REST}",
    ),
    "a list": (
        "- a\n",
        (),
        f"toy.yaml:1:1: the file holds a list of 1; it needs name; allowed too: {REST}",
    ),
    "text": (
        "hello\n",
        (),
        f"toy.yaml:1:1: the file holds the text 'hello'; it needs name; allowed too: {REST}",
    ),
    "long text": (
        "name: " + "A" * 500 + "\n",
        (),
        "toy.yaml:1:7: name: expected text (characters a-z), found the text 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA...'",
    ),
    "set: no value": (
        "name: a\n",
        ("count",),
        "--set count: expected key.path=value, such as seed=1 or steps.0.min=50; there is no = in it",
    ),
    "set: no path": (
        "name: a\n",
        ("point..x=1",),
        "--set point..x=1: expected key.path=value, such as seed=1 or steps.0.min=50",
    ),
    "set: unknown key": (
        "name: a\n",
        ("point.w=1",),
        "--set point.w=1: point.w: unknown key; allowed here: x, y",
    ),
    "set: wrong type": (
        "name: a\n",
        ("count=many",),
        "--set count=many: count: expected an integer (>= 0, <= 1000), found the text 'many'",
    ),
    "set: empty": (
        "name: a\n",
        ("count=",),
        "--set count=: count: expected an integer (>= 0, <= 1000), found nothing",
    ),
    "set: below a text": (
        "name: a\n",
        ("name.x=1",),
        "--set name.x=1: name.x: name is the text 'a', which has no keys",
    ),
    "set: entry that is not there": (
        "name: a\nwords: [b]\n",
        ("words.1=c",),
        "--set words.1=c: words.1: words is a list; expected the number of an entry, 0 to 0, found '1'",
    ),
    "set: entry of nothing": (
        "name: a\nwords: []\n",
        ("words.0=c",),
        "--set words.0=c: words.0: words is a list with no entries, found '0'; set all of words",
    ),
    "set: entry that is no number": (
        "name: a\nwords: [b]\n",
        ("words.first=c",),
        "--set words.first=c: words.first: words is a list; expected the number of an entry, 0 to 0, found 'first'",
    ),
    "set: member of an entry": (
        "name: a\nshapes: [{kind: disc, radius: 1}]\n",
        ("shapes.0.radius=-1",),
        "--set shapes.0.radius=-1: shapes.0.radius: expected a number (> 0), found the number -1",
    ),
    "set: makes a mapping": (
        "name: a\n",
        ("named.x.radius=1",),
        "--set named.x.radius=1: named.x.kind: missing; x is not in the file; expected one of disc, box",
    ),
    "set: alias": (
        "name: a\n",
        ("folder=*.yaml",),
        "--set folder=*.yaml: folder: text may not begin with *; put it in quotes",
    ),
    "set: not YAML": (
        "name: a\n",
        ("words=[a",),
        "--set words=[a: words: the [ that opens here is never closed; add ]",
    ),
    "set: key twice": (
        "name: a\n",
        ("point={x: 1, x: 2}",),
        "--set point={x: 1, x: 2}: point.x: the key is there twice, first on the same option; remove one",
    ),
    "set: leading zero": (
        "name: a\n",
        ("count=010",),
        '--set count=010: count: 010 may be octal; write 10, 0o... for octal, or "..." for text',
    ),
    "set: line break and length": (
        "name: a\n",
        ("count=a\n" + "b" * 200 + "",),
        "--set count=a\\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...: count: expected an integer (>= 0, <= 1000), found the text 'a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...'",
    ),
    "all at once": (
        "nmae: a\ncount: -1\npoint: {x: y}\n",
        (
            "exact=maybe",
            "mode=slow",
        ),
        "toy.yaml:1:1: name: missing; expected text (characters a-z): What it is called.",
        "toy.yaml:1:1: nmae: unknown key; did you mean name? Allowed here: name, rate, words, shapes, named, weights, either, folder",
        "toy.yaml:2:8: count: expected an integer (>= 0, <= 1000), found the number -1",
        "toy.yaml:3:12: point.x: expected an integer, found the text 'y'",
        "--set exact=maybe: exact: expected true or false, found the text 'maybe'",
        "--set mode=slow: mode: expected one of fast, careful, found the text 'slow'",
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "toy.yaml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("case", CASES)
def test_every_message_in_full(case: str) -> None:
    text, overrides, *messages = CASES[case]
    with pytest.raises(ConfigError) as caught:
        load(write(text), Toy, overrides)
    assert str(caught.value).split("\n") == messages
    assert caught.value.problems == tuple(messages)


FULL = """\
name: mill
count: 0x10
rate: 1e-3
exact: false
mode: careful
words: [no, 2026-11-20, "5"]
shapes:
  - {kind: box, sides: [1, 2.5]}
  - kind: disc
    radius: 0o17
named: {a: {kind: disc, radius: 1e2}}
weights: {no: 1, 1: 2, ~: .5}
either: 1:30
point: {x: -1, y: 1e3}
folder: runs/one
"""


def test_every_kind_of_value() -> None:
    toy = load(write(FULL), Toy)
    assert toy == Toy(
        name="mill",
        count=16,
        rate=0.001,
        exact=False,
        mode="careful",
        words=("no", "2026-11-20", "5"),
        shapes=(Box(kind="box", sides=(1, 2.5)), Disc(kind="disc", radius=15)),
        named={"a": Disc(kind="disc", radius=100)},
        weights={"no": 1, "1": 2, "~": 0.5},
        either="1:30",
        point=Point(x=-1, y=1000),
        folder=Path("runs/one"),
    )


def test_overrides_in_order_and_under_the_same_types() -> None:
    overrides = ["shapes.1.radius=3", "words=[x, y]", "words.0=no", "point.y=5", "rate=", "count=2", "count=4"]
    overrides += ["named.b={kind: disc, radius: 9}", "folder=s3://b/c", "weights.z=1"]
    toy = load(write(FULL), Toy, overrides)
    assert toy.shapes[1] == Disc(kind="disc", radius=3)
    assert toy.words == ("no", "y")
    assert (toy.point, toy.rate, toy.count) == (Point(x=-1, y=5), None, 4)
    assert sorted(toy.named) == ["a", "b"]
    assert toy.folder == Path("s3://b/c") and toy.weights["z"] == 1


def test_override_of_a_key_that_has_dots() -> None:
    toy = load(write(FULL.replace("weights: {", "weights: {a.b: 3, ")), Toy, ["weights.a.b=4"])
    assert toy.weights["a.b"] == 4
    with pytest.raises(ConfigError, match=r"weights\.a"):
        load(write(FULL), Toy, ["weights.a.b=4"])


def test_override_makes_what_is_missing() -> None:
    assert load(write("point:\n"), Toy, ["name=a", "point.x=3"]).point == Point(x=3)
    assert load(write("{}"), Toy, ["name=a", "point={y: 3}"]).point == Point(y=3)


def test_an_override_may_repair_the_file() -> None:
    assert load(write("name: a\ncount: x\n"), Toy, ["count=2"]).count == 2


def test_defaults_and_dump_round_trip() -> None:
    toy = load(write(FULL), Toy)
    assert load(write(json.dumps(dump(toy)), "dumped.json"), Toy) == toy
    assert dump(load(write("name: a"), Toy))["mode"] == "fast"


def test_findings_of_a_check_get_places() -> None:
    def check(toy: Toy) -> Iterator[Finding]:
        yield ("words", 1), "second word"
        yield ("point", "x"), "written by an option"
        yield ("point",), "a mapping, at its key"
        yield ("weights", "q"), "not there, at the key above"
        yield ("rate",), "not there"

    with pytest.raises(ConfigError) as caught:
        load(write("name: a\nwords: [b,\n  c]\npoint:\n  y: 1\nweights: {}\n"), Toy, ["point.x=2"], check)
    assert str(caught.value).split("\n") == [
        "toy.yaml:1:1: rate: not there",
        "toy.yaml:3:3: words.1: second word",
        "toy.yaml:4:1: point: a mapping, at its key",
        "toy.yaml:6:1: weights.q: not there, at the key above",
        "--set point.x=2: point.x: written by an option",
    ]


def test_a_check_does_not_run_on_what_has_no_shape() -> None:
    def check(toy: Toy) -> Iterator[Finding]:
        raise AssertionError("ran")

    with pytest.raises(ConfigError):
        load(write("name: 1\n"), Toy, (), check)


def test_files_that_cannot_be_read(folder: Path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            load(path, Toy)
        return str(caught.value)

    write("name: a")
    assert message(Path("toi.yaml")) == "toi.yaml: no such file; did you mean toy.yaml?"
    assert message(Path("other")) == f"other: no such file (looked from {folder})"
    assert message(Path("no/such")) == f"no/such: no such file (looked from {folder})"
    assert message(Path()) == ".: is a folder; name a file in it: toy.yaml"
    Path("empty").mkdir()
    assert message(Path("empty")) == "empty: is a folder; name a file"
    assert message(Path("a\0b")) == "'a\\x00b': not a file name"
    Path("latin").write_bytes("name: ab\ncount: é".encode("latin-1"))
    assert message(Path("latin")) == "latin:2:8: not UTF-8 (byte 0xE9); save the file as UTF-8"
    Path("picture").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert message(Path("picture")) == "picture: not text (byte 8 is zero); name a YAML file"
    Path("wide").write_text("name: a", encoding="utf-16")
    assert message(Path("wide")) == "wide: UTF-16 text; save the file as UTF-8"
    Path("large").write_bytes(b"#" * (MAX_BYTES + 1))
    assert (
        message(Path("large")) == "large: larger than 250000 bytes, as no recipe or configuration is; name another file"
    )
    Path("loop").symlink_to("loop")
    assert message(Path("loop")).startswith("loop: cannot be read (Too many levels of symbolic links")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission() -> None:
    path = write("name: a")
    path.chmod(0)
    with pytest.raises(ConfigError, match=r"^toy\.yaml: may not be read by this user; change its permissions"):
        load(path, Toy)


def test_byte_order_mark_and_crlf() -> None:
    Path("toy.yaml").write_bytes(b"\xef\xbb\xbfname: a\r\ncount: 2\r\n")
    assert load(Path("toy.yaml"), Toy).count == 2


def test_many_problems_are_counted() -> None:
    with pytest.raises(ConfigError) as caught:
        load(write("name: a\n" + "".join(f"k{i}: 1\n" for i in range(60))), Toy)
    assert len(caught.value.problems) == 60
    assert str(caught.value).endswith("\n... and 10 more")


def test_a_key_cannot_break_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        load(write('name: a\n"x\\ny\\e[31m": 1\n'), Toy)
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 100_000, "{" * 200_000, "? " * 100_000, "a: &a [*a, *a]"])
def test_hostile_nesting_ends_soon(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError):
        load(write(text), Toy)
    assert time.monotonic() - started < 5


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab01 \n:-[]{},&*!|>'\"#%@~?\t.é\x07"), max_size=40))
def test_any_text_loads_or_is_a_config_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    for overrides in ([], [text], [f"name={text}"]):
        try:
            load(path, Toy, overrides)
        except ConfigError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # The examples of the core schema, YAML 1.2.2, section 10.3.2.
        ("null", None),
        ("", None),
        ("~", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("True", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("0", 0),
        ("0o7", 7),
        ("0x3A", 58),
        ("-19", -19),
        ("+12", 12),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+12e03", 12000),
        ("-2E+05", -200000),
        ("1e-3", 0.001),
        # What YAML 1.1 reads as something else.
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-11-20", "2026-11-20"),
        ("0b1", "0b1"),
        ("=", "="),
        ("١٢", "١٢"),
        ("1e3\n", "1e3\n"),
        ("18446744073709551615", 2**64 - 1),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["010", "-007", "00", "18446744073709551616", "1e20", "0x" + "f" * 17, ".inf", "-.Inf"]
)
def test_refused_scalars(text: str) -> None:
    with pytest.raises(ValueError):
        resolve(text)


def test_shipped_recipes_are_found_in_any_folder(folder: Path, repository: Path) -> None:
    found, shipped = locate(Path("recipes/commoncrawl.yaml"))
    assert shipped and found.read_bytes() == (repository / "recipes" / "commoncrawl.yaml").read_bytes()
    Path("recipes").mkdir()
    mine = write("name: a", "recipes/commoncrawl.yaml")
    assert locate(mine) == (mine, False)
    assert locate(Path("other.yaml")) == (Path("other.yaml"), False)
    with pytest.raises(
        ConfigError, match=r"^recipes/comoncrawl.yaml: no such file .*; did you mean recipes/commoncrawl.yaml\?"
    ):
        locate(Path("recipes/comoncrawl.yaml"))
    with pytest.raises(ConfigError):
        locate(Path("recipes/../pyproject.toml"))


def test_loading_needs_no_heavy_library(repository: Path) -> None:
    code = "import sys, pipeline.config; print(*sorted({'numpy', 'polars', 'pyarrow', 'torch', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=repository)
    assert done.stdout.strip() == ""
