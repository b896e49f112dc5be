"""What is counted in synthetic sweeps: false claims, coverage, power, and what the earlier rule would have claimed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from camri_exp.reporting.collect import Run
from camri_exp.reporting.conclusion import TaskConclusion, conclude
from camri_exp.reporting.cross_fitting import cross_fit
from camri_exp.reporting.selection import Protocol, TaskComparison, compare_methods
from camri_exp.reporting.statistics import difference
from simulation.sweeps import NOISES, Noise, Scores, draw_images, sweep, sweep_of_moved_thresholds

Counts = dict[str, float]  # what is measured in one sweep; NaN where it is not defined
PROTOCOL = Protocol()


@dataclass(frozen=True)
class Cell:
    """One row of a table: the sweeps that are drawn, and how many. ``key`` names its file."""

    table: str
    key: str
    labels: tuple[str, ...]
    measure: Callable[[np.random.Generator], Counts]
    sweeps: int


def judged(runs: Sequence[Run]) -> tuple[TaskComparison, TaskConclusion]:
    """Selection and conclusion, by the code of ``camri_exp.report``."""
    comparisons = compare_methods(runs, PROTOCOL)
    return comparisons[0], conclude(comparisons, PROTOCOL)[0]


def earlier_claim(comparison: TaskComparison) -> bool:
    """What was claimed before: Student's interval of the runs that were selected, from these very runs."""
    rows = [row for row in comparison.methods if row.seeds]
    best = max(rows, key=lambda row: row.selection_recall, default=None)
    return best is not None and difference(best.recall, comparison.baseline.recall).shown_gain


def null(noise: Noise, seeds: int, settings: int) -> Callable[[np.random.Generator], Counts]:
    """No configuration gains or costs anything: every claim is false, and the true gain is 0."""

    def measure(rng: np.random.Generator) -> Counts:
        comparison, conclusion = judged(sweep(rng, noise, seeds, settings))
        gain, new = conclusion.gain, conclusion.gain.new_images
        return {
            "claimed": float(gain.shown and gain.mean > 0),
            "claimed before": float(earlier_claim(comparison)),
            "covered": covers(gain.low, gain.high, 0.0),
            "covered, new images": np.nan if new is None else covers(new.low, new.high, 0.0),
            "bias": 100 * gain.mean,
            "recommended": float(conclusion.recommended not in (None, "ce", "threshold")),
        }

    return measure


def power(noise: Noise, seeds: int, settings: int, gain: float) -> Callable[[np.random.Generator], Counts]:
    """The first configuration finds more: how often is that shown, and was it before?"""

    def measure(rng: np.random.Generator) -> Counts:
        comparison, conclusion = judged(sweep(rng, noise, seeds, settings, gain))
        claimed = conclusion.gain.shown and conclusion.gain.mean > 0
        return {"claimed": float(claimed), "claimed before": float(earlier_claim(comparison))}

    return measure


def coverage(noise: Noise, seeds: int, gain: float) -> Callable[[np.random.Generator], Counts]:
    """One configuration with a true gain, for these images and for the population of images."""
    grid = np.random.default_rng(0).normal(size=(2, 40_000))
    level = np.log(noise.recall / (1 - noise.recall)) + noise.image * grid[0] + noise.run * grid[1]
    everywhere = float((expit(level + gain) - expit(level)).mean())

    def measure(rng: np.random.Generator) -> Counts:
        images = draw_images(rng, noise)
        spread = images[:, None] + noise.run * grid[1][:400]
        member = np.arange(noise.images) * len(images) // noise.images
        here = float((expit(spread + gain) - expit(spread)).mean(1)[member].mean())
        runs = sweep(rng, noise, seeds, 1, gain, -0.02, images)  # so accurate that it is always selected
        result = judged(runs)[1].gain
        new = result.new_images
        return {
            "covered": covers(result.low, result.high, here),
            "covered, new images": np.nan if new is None else covers(new.low, new.high, everywhere),
        }

    return measure


def accuracy(noise: Noise, seeds: int, settings: int, loss: float) -> Callable[[np.random.Generator], Counts]:
    """Every configuration loses ``loss`` of accuracy; "costs no accuracy" is wrong at the margin, right at 0."""

    def measure(rng: np.random.Generator) -> Counts:
        runs = sweep(rng, noise, seeds, settings, 0.0, 0.0)
        worse = [run for run in runs if run.loss != "ce"]
        lower = [lowered(run, loss) for run in worse]
        comparison, conclusion = judged([run for run in runs if run.loss == "ce"] + lower)
        chosen, known = cross_fit(comparison, PROTOCOL).chosen.values(), conclusion.accuracy.non_inferior
        everywhere = all(configuration.loss != "ce" for configuration in chosen)  # otherwise less is lost
        return {"non-inferior": float(known) if known is not None and everywhere else np.nan}

    return measure


def lowered(run: Run, loss: float) -> Run:
    """``run`` with a test accuracy that is lower by ``loss``; validation, which selects, is as it was."""
    test = run.metrics["test"]
    return replace(run, metrics={**run.metrics, "test": replace(test, accuracy=test.accuracy - loss)})


def threshold_only(seeds: int, bias: float) -> Callable[[np.random.Generator], Counts]:
    """The loss differs from the baseline by a constant on the important class's score: recommending it is wrong."""

    def measure(rng: np.random.Generator) -> Counts:
        comparison, conclusion = judged(sweep_of_moved_thresholds(rng, seeds, bias, Scores()))
        lead = conclusion.against_threshold
        return {
            "gain shown": float(conclusion.gain.shown and conclusion.gain.mean > 0),
            "loss recommended": float(conclusion.recommended == "camri"),
            "threshold recommended": float(conclusion.recommended == "threshold"),
            "lead shown": float(lead.shown and lead.mean > 0),
            "bias costs over .5 pp": threshold_costs(comparison),
        }

    return measure


def threshold_costs(comparison: TaskComparison) -> float:
    """The share of runs in which the bias chosen on validation costs more than the margin on test."""
    if comparison.threshold is None:
        return np.nan
    base = comparison.baseline.accuracy
    return float(np.mean([base[s] - value > PROTOCOL.margin for s, value in comparison.threshold.accuracy.items()]))


def covers(low: float, high: float, truth: float) -> float:
    return np.nan if np.isnan(low) else float(low <= truth <= high)


def cells() -> list[Cell]:
    """Everything that docs/statistics.md reports."""
    made = []
    for seeds in (3, 5, 10):
        for name, noise in NOISES.items():
            for settings in (1, 9, 24, 60):
                labels = (name, str(seeds), str(settings))
                count = 600 if settings < 24 else 300
                made.append(
                    Cell("null", f"null-{name}-{seeds}-{settings}", labels, null(noise, seeds, settings), count)
                )
    gains, larger = {"digits": 1.5, "cifar10": 0.25, "gtsrb": 2.5}, {"digits": 2.4, "cifar10": 0.35, "gtsrb": 3.5}
    for name, noise in NOISES.items():
        for seeds in (3, 5, 10):
            labels = (name, str(seeds))
            made += [
                Cell("power", f"gain-{name}-{seeds}", labels, power(noise, seeds, 9, larger[name]), 200),
                Cell("coverage", f"coverage-{name}-{seeds}", labels, coverage(noise, seeds, gains[name]), 400),
                Cell("margin", f"lower-{name}-{seeds}", labels, accuracy(noise, seeds, 9, PROTOCOL.margin), 400),
                Cell("kept", f"equal-{name}-{seeds}", labels, accuracy(noise, seeds, 9, 0.0), 200),
            ]
    for seeds in (3, 5, 10):
        for bias in (0.4, 0.8):
            labels = (str(seeds), f"{bias:g}")
            made.append(Cell("threshold", f"threshold-{seeds}-{bias:g}", labels, threshold_only(seeds, bias), 100))
    return made
