"""YAML and JSON are read strictly: what is ambiguous is refused in one line."""

import json
import math
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from snakegym.documents import MOST_VALUES, parse_json, parse_yaml
from snakegym.errors import SnakegymError

# PyYAML writes YAML 1.1, in which 0E0 and 08 are texts and need no quotes.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).filter(
    lambda text: text[:1] not in tuple("0123456789+-.")
)
scalars = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_what_libraries_write_is_read_as_it_was(value):
    assert parse_yaml(yaml.safe_dump(value), "x") == value
    if "inf" not in json.dumps(value).lower():
        assert parse_json(json.dumps(value), "x") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("[.5, 1., +3, -0, 0]", [0.5, 1.0, 3, 0, 0]),
        ("[no, yes, on, off]", ["no", "yes", "on", "off"]),
        ("[true, False, ~, null, '', ]", [True, False, None, None, ""]),
        ("['011', \"1:30\", !!str 1_000]", ["011", "1:30", "1_000"]),
        ("2001-01-01", "2001-01-01"),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
        ("", None),
    ],
)
def test_plain_values_mean_what_yaml_1_2_says(text, value):
    assert parse_yaml(text, "x") == value


def test_infinity_and_nan_have_a_spelling():
    assert parse_yaml("-.inf", "x") == -math.inf
    assert math.isnan(parse_yaml(".nan", "x"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  - {c: 1, c: 2}", r"^f, line 3: found 'c' twice"),
        ("a: {b: 1, 'b': 2}", "line 1: found 'b' twice"),
        ("a: 011", "line 1: found '011', which YAML 1.1 and 1.2 read differently"),
        ("a: -0x1f", "'-0x1f'"),
        ("a: 1:30", "'1:30'"),
        ("a: 1_000.5", "'1_000.5'"),
        ("1: a", "found 1 as a name"),
        ("? [a]\n: 1", "as a name, expected text"),
        ("a: 1e999", "no floating-point number"),
        ("a: 1e-999", "no floating-point number"),
        ("a: " + "9" * 5000, "5000 characters"),
        ("a: !!int 11", "tag"),
        ("a: !!python/object:os.system x", "tag"),
        ("a: &a [*a]", "alias of what it stands in"),
        ("[" * 10_000, "nested"),
        ("- " * 10_000, "nested"),
        ("a: *x", "undefined alias"),
        ("a: b: c", "line 1"),
        ("a: \x07", "not valid YAML"),
        ('a: "\\ud800"', "surrogate"),
        ("a: 1\n---\nb: 2", "single document"),
    ],
)
def test_whatever_is_ambiguous_or_broken_is_named_in_one_line(text, message):
    with pytest.raises(SnakegymError, match=message) as error:
        parse_yaml(text, "f")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_aliases_do_not_multiply_without_end():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    start = time.process_time()
    with pytest.raises(SnakegymError, match=f"more than {MOST_VALUES} values"):
        parse_yaml("\n".join(lines), "bomb")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('[{"a": {"b": 1, "b": 1}}]', "'b' twice"),
        ("[NaN]", "found NaN"),
        ("[-Infinity]", "found -Infinity"),
        ("[" * 100_000, "too deeply nested"),
        ("9" * 5000, "not valid JSON"),
        ("{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
    ],
)
def test_json_is_as_strict(text, message):
    with pytest.raises(SnakegymError, match=message) as error:
        parse_json(text, "f")
    assert "\n" not in str(error.value)
