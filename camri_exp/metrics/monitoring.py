"""Is a promised recall still tenable? Tests of "the recall is at least r" on labelled images that came later.

Both tests see ``found`` of n independent images of the class. The exact binomial test is for one look at the data. When
the same question is asked again whenever images have been added, its errors add up. The e-value

    E_n = integral over 0 < q < r of [q^found (1 - q)^(n - found)] / [r^found (1 - r)^(n - found)] dq / r

is for that: a mixture of likelihood ratios against recalls below r, which is a supermartingale where the recall is at
least r, whatever the order of the images. By Ville's inequality it ever reaches 1 / alpha with probability at most
alpha (Ville 1939; Howard, Ramdas, McAuliffe & Sekhon 2021, https://arxiv.org/abs/1810.08240). It depends on the two
counts alone, so that nothing has to be stored between the looks.
"""

import math
from dataclasses import dataclass

from scipy import optimize, special, stats

from camri_exp.metrics.per_class import ClassName
from camri_exp.records import Number


@dataclass(frozen=True)
class ClassCheck:
    """The check of one class: ``found`` of ``images`` independent images, for a recall of at least ``recall``.

    ``upper`` is the largest recall that the check does not reject, and ``broken`` says whether ``recall`` is larger.
    """

    class_name: ClassName
    recall: Number
    images: int
    found: int
    p_value: Number
    e_value: Number
    upper: Number
    broken: bool


@dataclass(frozen=True)
class Check:
    """The check of a promise on ``split``: by the e-values where it is ``repeated``, else by the exact test."""

    split: str
    repeated: bool
    broken: bool
    per_class: list[ClassCheck]


def p_value(found: int, images: int, recall: float) -> float:
    """P(Bin(images, recall) <= found): the one-sided exact test of a recall of at least ``recall``, for one look."""
    return float(stats.binom.cdf(found, images, recall))


def e_value(found: int, images: int, recall: float) -> float:
    """The evidence against a recall of at least ``recall`` that may be looked at after every image; 1 without images.

    >>> e_value(0, 0, 0.95)
    1.0
    """
    return math.exp(min(_log_e(found, images, recall), 700.0))


def _log_e(found: int, images: int, recall: float) -> float:
    if not images:
        return 0.0
    missed = images - found
    below = float(stats.beta.logcdf(recall, found + 1, missed + 1))
    at_recall = (found + 1) * math.log(recall) + missed * math.log1p(-recall)
    return float(special.betaln(found + 1, missed + 1)) + below - at_recall


def upper_bound(found: int, images: int, confidence: float) -> float:
    """The largest recall that one look does not reject: the upper end of Clopper & Pearson's one-sided interval."""
    return float(stats.beta.ppf(confidence, found + 1, images - found)) if found < images else 1.0


def upper_bound_at_any_time(found: int, images: int, confidence: float) -> float:
    """The largest recall whose e-value is below 1 / (1 - confidence): it holds for all looks together."""
    if found == images:
        return 1.0
    limit, last = -math.log(1 - confidence), 1 - 1e-12
    lowest = max(found / images, 1e-12)
    return float(optimize.brentq(lambda recall: _log_e(found, images, recall) - limit, lowest, last))


def check_class(name: str, recall: float, found: int, images: int, confidence: float, repeated: bool) -> ClassCheck:
    """Check a recall of at least ``recall``; a kept one is called broken with probability at most 1 - ``confidence``.

    With ``repeated``, this holds for all checks of a growing set of images together.
    """
    p, e = p_value(found, images, recall), e_value(found, images, recall)
    upper = (upper_bound_at_any_time if repeated else upper_bound)(found, images, confidence)
    alpha = 1 - confidence
    return ClassCheck(name, recall, images, found, p, e, upper, e >= 1 / alpha if repeated else p <= alpha)
