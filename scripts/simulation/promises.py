"""How often a promised recall is kept: thresholds from drawn calibration images, by the rule of camri_exp.

The margin d of an image of the important class is standard normal, so that a bias b finds the share Phi(b) of it.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from camri_exp.metrics import threshold
from camri_exp.metrics.promise import recall_threshold, shared
from simulation.measures import Cell, Counts

Array = npt.NDArray[np.floating]
Draw = Callable[[np.random.Generator], Counts]
IMAGES = {0.8: (20, 60, 300), 0.9: (30, 100, 300), 0.95: (60, 100, 300, 1000), 0.99: (300, 1000)}
CONFIDENCES = (0.95, 0.9)
STEP = 0.25  # between tied margins
MODELS, FRAMES = 20, 30
WITHIN = 0.2  # variance between images of one group
POPULATION = 4000  # images of each class, where the recall is counted
SECTIONS = {
    "promise": (
        "A promised recall",
        "The share of calibrations after which the true recall is at least the promised one; the confidence is what it "
        "should be at least. *naive*: the smallest threshold that finds this share of the calibration images.",
        ("recall", "images", "confidence"),
    ),
    "promise_cases": (
        "A promised recall where images or models are special",
        f"Recall 90 %, confidence 95 %. *ties*: margins in steps of {STEP}. *groups*: {FRAMES} images of each object, "
        "of which one counts; *naive*: all count. *two classes*: both recalls are at least the promised one; *naive*: "
        f"each with the whole confidence. *{MODELS} models*: the one that is cheapest on other images is calibrated; "
        "*naive*: all are calibrated, and the cheapest is taken.",
        ("case", "images"),
    ),
}


def bias(margins: Array, recall: float, confidence: float) -> float:
    """The promised threshold for drawn margins."""
    scores = np.stack([np.zeros_like(margins), margins], axis=1)
    return recall_threshold(scores, [0], 0, recall, confidence).bias


def naive_bias(margins: Array, recall: float) -> float:
    """Just above the smallest threshold that finds ``recall`` of the calibration images."""
    return float(np.sort(margins)[int(np.ceil(round(recall * len(margins), 9))) - 1]) + 1e-9


def kept(promised: float, naive: float, recall: float) -> Counts:
    return {"kept": float(norm.cdf(promised) >= recall), "naive": float(norm.cdf(naive) >= recall)}


def independent(recall: float, images: int, confidence: float) -> Draw:
    def measure(rng: np.random.Generator) -> Counts:
        d = rng.normal(size=images)
        return kept(bias(d, recall, confidence), naive_bias(d, recall), recall)

    return measure


def ties(recall: float, images: int, confidence: float) -> Draw:
    """Margins in steps: a bias finds all images up to the middle between two steps."""

    def found(value: float) -> float:
        return (np.ceil(value / STEP) - 0.5) * STEP

    def measure(rng: np.random.Generator) -> Counts:
        d = np.round(rng.normal(size=images) / STEP) * STEP
        return kept(found(bias(d, recall, confidence)), found(naive_bias(d, recall)), recall)

    return measure


def groups(recall: float, objects: int, confidence: float) -> Draw:
    def measure(rng: np.random.Generator) -> Counts:
        noise = rng.normal(size=(objects, FRAMES))
        d = np.sqrt(1 - WITHIN) * rng.normal(size=(objects, 1)) + np.sqrt(WITHIN) * noise
        return kept(bias(d[:, 0], recall, confidence), bias(d.ravel(), recall, confidence), recall)

    return measure


def chosen_model(recall: float, images: int, confidence: float) -> Draw:
    """Equal models, whose margins are correlated; the smallest bias gives the fewest false alarms."""

    def measure(rng: np.random.Generator) -> Counts:
        d = np.sqrt(0.5) * (rng.normal(size=(2, images, 1)) + rng.normal(size=(2, images, MODELS)))
        other, own = ([bias(part[:, m], recall, confidence) for m in range(MODELS)] for part in d)
        return kept(own[int(np.argmin(other))], min(own), recall)

    return measure


def two_classes(recall: float, images: int, confidence: float) -> Draw:
    """Scores of four classes, of which two are important; the recalls are counted on many other images."""
    everywhere = [four_scores(np.random.default_rng(k), k, POPULATION) for k in (0, 1)]

    def measure(rng: np.random.Generator) -> Counts:
        drawn = [four_scores(rng, k, images) for k in (0, 1)]
        counts = {}
        for name, each in (("kept", shared(confidence, 2)), ("naive", confidence)):
            biases = [recall_threshold(drawn[k], [0, 1], k, recall, each).bias for k in (0, 1)]
            recalls = [(threshold.moved(everywhere[k], [0, 1], biases) == k).mean() for k in (0, 1)]
            counts[name] = float(min(recalls) >= recall)
        return counts

    return measure


def four_scores(rng: np.random.Generator, k: int, images: int) -> Array:
    scores = rng.normal(size=(images, 4))
    scores[:, k] += 4
    return scores


def cells() -> list[Cell]:
    """The cells of both tables."""
    made = []
    for recall, numbers in IMAGES.items():
        for images in numbers:
            for confidence in CONFIDENCES:
                labels = (f"{recall:.0%}".replace("%", " %"), str(images), f"{confidence:.0%}".replace("%", " %"))
                key = f"promise-{recall}-{images}-{confidence}"
                made.append(Cell("promise", key, labels, independent(recall, images, confidence), 2000))
    cases = {"ties": (ties, 100, 2000), "groups": (groups, 60, 2000), "two classes": (two_classes, 100, 1000)}
    for name, (case, images, draws) in {**cases, f"{MODELS} models": (chosen_model, 100, 500)}.items():
        labels = (name, f"{images} x {FRAMES}" if name == "groups" else str(images))
        made.append(Cell("promise_cases", f"promise-{name}", labels, case(0.9, images, 0.95), draws))
    return made
