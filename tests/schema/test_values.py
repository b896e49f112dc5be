"""One value against an annotation, and the words for what is expected."""

import math
from typing import Annotated, Any, Literal

import pytest

from camri_exp.schema.values import Pattern, Range, Words, expected, is_valid, text_of


@pytest.mark.parametrize(
    ("annotation", "valid", "wrong"),
    [
        (int, [0, -3, 10**12], ["1", 1.5, True, None, math.nan, [1], {}]),
        (float, [0, 0.5, -1e300], ["1", True, None, math.nan, math.inf, -math.inf, [0.5]]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [1, True, None, ["a"]]),
        (Annotated[int, Range(1, 10)], [1, 10], [0, 11, 1.0, True]),
        (Annotated[float, Range(above=0, below=1)], [0.5], [0, 1, 0.0, -0.5, math.nan]),
        (Annotated[float, Range(finite=False)], [math.nan, math.inf, 3], ["nan"]),
        (Annotated[str, Pattern("a+")], ["a", "aa"], ["", "ab", 1, "a\nb"]),
        (float | list[float] | None, [1, [1, 2.5], [], None], ["a", [True], [math.nan], [[1]], {}]),
        (tuple[float, float], [[1, 2]], [[1], [1, 2, 3], 1]),
        (dict[str, Any], [{}, {"a": [1]}], [1, [], None]),
        (Literal["a", 16], ["a", 16], ["b", 1, "16", True, None]),
    ],
)
def test_validation_is_strict(annotation: Any, valid: list[Any], wrong: list[Any]) -> None:
    assert [value for value in valid if not is_valid(value, annotation)] == []
    assert [value for value in wrong if is_valid(value, annotation)] == []


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (Annotated[int, Range(least=1)], "a whole number of at least 1"),
        (Annotated[float, Range(above=0, most=64)], "a number above 0 and at most 64"),
        (Annotated[float, Range(0, 1)] | None, "a number from 0 to 1, or null"),
        (str | None, "text or null"),
        (float | list[float], "a number or a list of numbers"),
        (Literal["a", "b"] | None, "one of a, b or null"),
        (list[list[float]], "a list of lists of numbers"),
        (Annotated[str | int, Words("a path")] | None, "a path or null"),
    ],
)
def test_the_words_say_type_range_and_choices(annotation: Any, words: str) -> None:
    assert expected(annotation) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ([1, "a", None], "[1,a,null]"),
        ({"a": 1.5}, "{a:1.5}"),
        ("two\nlines\x1b[31m", "two\\nlines\\x1b[31m"),
        ("x" * 200, "x" * 80 + "…"),
    ],
)
def test_a_value_is_shown_on_one_line_as_the_user_types_it(value: Any, text: str) -> None:
    assert text_of(value) == text
