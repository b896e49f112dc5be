"""Sentences on what could mislead in a comparison."""

from collections.abc import Mapping, Sequence

from camri_exp.reporting.grouping import Configuration
from camri_exp.reporting.ranking import describe_ranks


def notes_on(
    baseline: Configuration,
    baselines: int,
    methods: Mapping[str, Sequence[Configuration]],
    candidates: Mapping[str, Sequence[Configuration]],
) -> list[str]:
    """The notes on one task.

    Args:
        baseline: the configuration that all others are compared with.
        baselines: how many configurations its loss has.
        methods: all configurations of the other losses.
        candidates: those of them that have enough seeds in common with the baseline.
    """
    notes = [describe_ranks(list(baseline.runs.values()), baseline.important)]
    if baselines > 1:
        notes.append(
            f"{baseline.loss} has {baselines} configurations; the most accurate one ({baseline.label}) is the baseline."
        )
    for loss, configurations in {baseline.loss: [baseline], **methods}.items():
        other = [c for c in configurations if set(c.runs) != set(baseline.runs)]
        single = [c for c in configurations if len(c.runs) == 1]
        if other:
            notes.append(
                f"{loss}: {_count(other, configurations)} other seeds than {baseline.loss} ({_seeds(baseline)}), "
                f"for example {other[0].label}: {_seeds(other[0])}. Differences use the common seeds."
            )
        if single:
            notes.append(f"{loss}: {_count(single, configurations)} a single seed, so that their spread is not known.")
        few = len(configurations) - len(candidates.get(loss, configurations))
        if few:
            verb = "has" if few == 1 else "have"
            notes.append(
                f"{loss}: {few} of {len(configurations)} configurations {verb} too few seeds in common with "
                f"{baseline.loss} and cannot be selected: at least half of its {len(baseline.runs)}, and two."
            )
    return notes


def _count(some: Sequence[Configuration], configurations: Sequence[Configuration]) -> str:
    return f"{len(some)} of {len(configurations)} configurations {'has' if len(some) == 1 else 'have'}"


def _seeds(configuration: Configuration) -> str:
    return "seeds " + ", ".join(map(str, sorted(configuration.runs)))
