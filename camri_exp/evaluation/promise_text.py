"""A promise of recall in sentences, for the screen, the card of a model and messages."""

import math
from collections.abc import Iterator

from camri_exp.data.splits import NOUNS
from camri_exp.evaluation.promise import CALIBRATION, ClassPromise, Price, Promise
from camri_exp.metrics.intervals import Interval
from camri_exp.metrics.monitoring import ClassCheck
from camri_exp.metrics.promise import fewest_images, shared
from camri_exp.text import plural


def sentences(promise: Promise) -> Iterator[str]:
    """The promise of each important class, or what can be promised instead, and the price of all."""
    for own in promise.per_class:
        yield class_sentence(promise, own)
    if promise.split != CALIBRATION:
        yield (
            "This is an estimate and no promise, because the validation images chose the checkpoint. Train with "
            "data.calibration_fraction=0.2 for images that choose nothing."
        )
    if len(promise.per_class) > 1:
        yield f"All {len(promise.per_class)} hold together with {percent(promise.confidence)} confidence."
    if promise.price is not None:
        yield from price_sentences(promise.price)
    if promise.check is not None:
        yield from (check_sentence(promise, own) for own in promise.check.per_class)


def class_sentence(promise: Promise, own: ClassPromise) -> str:
    """What is promised, estimated, or not possible for one class."""
    confidence = shared(promise.confidence, len(promise.per_class))
    if math.isnan(own.bias):
        return f"Nothing can be said of {own.class_name}: no {_images(promise)} image of it can be found."
    if not own.reached:
        return f"{_obstacle(promise, own, confidence)} With these, {_possible(promise, own)}."
    verb = "will be" if own.promised else "would be"
    text = (
        f"Threshold {own.bias:+.4g}: at least {percent(promise.recall)} of {own.class_name} {verb} found, with "
        f"{percent(confidence)} confidence ({counted(promise, own)}, {own.missed} missed)."
    )
    if own.bias >= 0:
        return text
    return f"{text} The threshold 0, the unchanged model, finds more: at least {_rounded_down(own.unchanged)}."


def review_sentence(band: Promise) -> str:
    """What is expected below the lower threshold of a band for review."""
    names = ", ".join(own.class_name for own in band.per_class)
    biases = ", ".join(f"{bias:+.4g}" for bias in band.biases)
    verb = "are" if band.promised else "would be"
    return (
        f"below the lower threshold ({biases}) {verb} at most {percent(1 - band.recall)} of {names}, with "
        f"{percent(band.confidence)} confidence"
    )


def _obstacle(promise: Promise, own: ClassPromise, confidence: float) -> str:
    """Why the recall is out of reach."""
    fewest, units = fewest_images(promise.recall, confidence), own.images if own.groups is None else own.groups
    noun = "images" if own.groups is None else "groups of images"
    if units < fewest:
        return f"{fewest} {noun} of {own.class_name} are needed for {percent(promise.recall)}; there are {units}."
    return (
        f"{percent(promise.recall)} of {own.class_name} cannot be reached: {own.missed} of {units} {noun} look more "
        "like another important class."
    )


def _possible(promise: Promise, own: ClassPromise) -> str:
    verb = "promised" if promise.split == CALIBRATION else "estimated"
    return f"{_rounded_down(own.best)} can be {verb} at threshold {own.bias:+.4g}"


def _rounded_down(recall: float) -> str:
    """A recall in percent that can be promised too, as ``recall=``."""
    return percent(math.floor(1000 * recall) / 1000)


def counted(promise: Promise, own: ClassPromise) -> str:
    """The images that were calibrated on, in words; of each group one image counts."""
    images = plural(own.images, f"{_images(promise)} image")
    return images if own.groups is None else f"one of each of {plural(own.groups, 'group')} of {images}"


def _images(promise: Promise) -> str:
    return NOUNS[promise.split]


def price_sentences(price: Price) -> Iterator[str]:
    """The price: accuracy, and the false alarms and the recall of each class, with 95 % CIs."""
    accuracy = f"Price on {price.split}: accuracy {100 * price.accuracy.value:.1f} % ({_difference(price.difference)})"
    if len(price.per_class) == 1:
        (own,) = price.per_class
        yield f"{accuracy}, false alarms {share(own.false_alarms)}."
    else:
        yield f"{accuracy}."
    for own in price.per_class:
        alarms = "" if len(price.per_class) == 1 else f"; false alarms {share(own.false_alarms)}"
        yield f"{own.class_name} on {price.split}: {share(own.recall)} found{alarms}."


def _difference(difference: Interval) -> str:
    text = f"{100 * difference.value:+.1f} pp"
    if math.isnan(difference.low):
        return text
    return f"{text}, 95 % CI {100 * difference.low:+.1f} to {100 * difference.high:+.1f}"


def check_sentence(promise: Promise, own: ClassCheck) -> str:
    """Whether labelled images agree with the promise of one class."""
    assert promise.check is not None
    word = "promise" if promise.split == CALIBRATION else "estimate"
    state = f"is broken on {promise.check.split}" if own.broken else f"is tenable on {promise.check.split}"
    alpha = 1 - shared(promise.confidence, len(promise.per_class))
    if promise.check.repeated:
        test = f"evidence against it {own.e_value:.3g}, at any time; broken from {1 / alpha:.3g} on"
    else:
        test = f"exact test p = {own.p_value:.3g}; broken up to {alpha:.3g}, for a single check"
    return (
        f"The {word} for {own.class_name} {state}: {own.found} of {own.images} independent images found, at least "
        f"{_rounded_down(own.recall)} expected ({test}); the recall is at most {100 * own.upper:.1f} %."
    )


def share(interval: Interval) -> str:
    """A share and its 95 % CI in percent."""
    if math.isnan(interval.value):
        return "unknown"
    text = f"{100 * interval.value:.1f} %"
    return (
        text if math.isnan(interval.low) else f"{text} (95 % CI {100 * interval.low:.1f} to {100 * interval.high:.1f})"
    )


def percent(value: float) -> str:
    """``95 %`` for 0.95, with up to four digits."""
    return f"{100 * value:.4g} %"
