"""The kinds of groups, and the types of values that several keys share, with their ranges, choices and words."""

from typing import Annotated, Literal

from camri_exp.schema.values import Range, Words

Count = Annotated[int, Range(least=1)]
HeldOut = Annotated[float, Range(above=0, below=1)]
Share = Annotated[float, Range(least=0, most=1)]
Limit = Annotated[
    Annotated[int, Range(least=0)] | Annotated[float, Range(above=0, most=1)],
    Words("a whole number of batches, a share above 0.0 and at most 1.0"),
]
# A folder may be named by a number, which Hydra reads as one.
Path = Annotated[str | int | float, Words("a path")]
Name = Annotated[str | int | float, Words("a name")]
Seed = Annotated[int, Range(0, 2**32 - 1)]
Device = Annotated[str, Words("a device such as cpu, cuda or cuda:1")]
BatchSize = Annotated[int, Range(1, 10**6)]
# Classes may be named by whatever a folder or a CSV calls them, so "nan" and "true" are names too.
ClassName = bool | int | str | Annotated[float, Range(finite=False)]
Classes = Annotated[ClassName | list[ClassName] | None, Words("an id, a name, a list of either, or null")]
Precision = Literal[
    "32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true", "transformer-engine",
    "transformer-engine-float16", "32", "16", "bf16", "64", 32, 16, 64,
]  # fmt: skip
Recall = Annotated[float, Range(above=0, below=1)] | None
Confidence = Annotated[float, Range(above=0, below=1)]
Bias = Annotated[float | Literal["auto"], Words("a number, or auto for the one chosen on validation")]


class Group:
    """Keys by name, with their types; an attribute with a value may be left out."""


class Open(Group):
    """A group whose further keys are checked by the object that is built of it."""


class Plugin(Open):
    """A group with ``_target_``."""


class Plugins(Group):
    """A group of plug-ins by name; null leaves one out."""
