"""The jobs of a sweep: for every loss the product of the lists given for all losses and of those given for it alone."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from camri_exp.errors import UserError, nearest
from camri_exp.identity import job_name

ONLY = "sweep.only."
Layer = dict[str, list[str]]  # a key, and the overrides to try for it


def expand(
    params: Mapping[str, object],
    only: Mapping[str, Mapping[str, object]] | None,
    arguments: Sequence[str],
    default_loss: str,
    keys_of: Callable[[str], Iterable[str]],
) -> list[list[str]]:
    """One list of overrides a job, in a stable order and none twice.

    What is said later or more narrowly wins: ``params`` (an experiment's grid), ``only`` (its grids a loss), the
    command line, and the command line's ``sweep.only.LOSS.key=…``. A key of the loss that only some of the losses have
    is left out for the others.

    Args:
        params: keys and values in Hydra's grammar: ``{"loss": "ce,camri", "seed": "range(10)"}``.
        only: the same a loss, nested or dotted, lists allowed: ``{"camri": {"loss": {"margin": [0.1, 0.2]}}}``.
        arguments: the command line's overrides.
        default_loss: the loss where neither of them names one.
        keys_of: the keys that the config of a loss has.

    Raises:
        UserError: a key that none of the losses has, or ``sweep.only`` for a loss that is not in the sweep.
    """
    shared = parse(f"{key}={literal(value)}" for key, value in params.items())
    given, given_only = _split(arguments)
    named = {**shared, **parse(given)}.get("loss", [f"loss={default_loss}"])
    losses = [item.removeprefix("loss=") for item in named]
    narrow = {loss: parse(flat(node)) for loss, node in (only or {}).items()}
    for loss in given_only:
        if loss not in losses:
            raise UserError(f"{ONLY}{loss}: this sweep has {', '.join(losses)}.{nearest(loss, losses)}")
    layers = {
        loss: {
            **shared,
            **narrow.get(loss, {}),
            **parse(given),
            **parse(given_only.get(loss, [])),
            "loss": [f"loss={loss}"],
        }
        for loss in losses
    }
    _drop_foreign_keys(layers, keys_of)
    jobs = [list(job) for layer in layers.values() for job in itertools.product(*layer.values())]
    return list({job_name(job): job for job in reversed(jobs)}.values())[::-1]


def parse(overrides: Iterable[str]) -> Layer:
    """Overrides by key, with the lists spelled out; the last of a key counts."""
    layer: Layer = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        name = override.get_key_element()
        if not override.is_sweep_override():
            layer[name] = [f"{name}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            layer[name] = [f"{name}={value}" for value in override.sweep_string_iterator()]
        else:
            raise UserError(
                f"{override.input_line}: an interval has no list of values. Give them, or hydra/sweeper=optuna."
            )
    return layer


def flat(node: Mapping[str, object], prefix: str = "") -> list[str]:
    """``["loss.margin=0.1,0.2"]`` of ``{"loss": {"margin": [0.1, 0.2]}}``."""
    plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    assert isinstance(plain, Mapping)
    overrides = []
    for name, value in plain.items():
        key = f"{prefix}{name!s}"
        overrides += flat(value, f"{key}.") if isinstance(value, Mapping) else [f"{key}={literal(value)}"]
    return overrides


def literal(value: object, inner: bool = False) -> str:
    """A value in Hydra's grammar; a list becomes a list of values to try, a string is grammar already."""
    if isinstance(value, list | tuple):
        items = ",".join(literal(item, inner=True) for item in value)
        return f"[{items}]" if inner else items
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _split(arguments: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The command line's overrides for all losses, and those for one alone without their prefix."""
    given: list[str] = []
    only: dict[str, list[str]] = {}
    for argument in arguments:
        bare = argument.lstrip("+")
        if bare.startswith(ONLY):
            loss, _, rest = bare.removeprefix(ONLY).partition(".")
            only.setdefault(loss, []).append(rest)
        else:
            given.append(argument)
    return given, only


def _drop_foreign_keys(layers: Mapping[str, Layer], keys_of: Callable[[str], Iterable[str]]) -> None:
    own = {name for layer in layers.values() for name in layer if name.startswith("loss.")}
    if not own or len(layers) < 2:
        return
    known = {loss: {f"loss.{name}" for name in keys_of(loss)} for loss in layers}
    everywhere = set().union(*known.values())
    for name in sorted(own):
        if ".".join(name.split(".")[:2]) not in everywhere:
            raise UserError(f"{name}: none of {', '.join(layers)} has that key.{nearest(name, everywhere)}")
        for loss, layer in layers.items():
            if ".".join(name.split(".")[:2]) not in known[loss]:
                layer.pop(name, None)


def covering(jobs: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Some of the jobs that together have every override of all jobs."""
    seen: set[str] = set()
    chosen = []
    for job in jobs:
        if not seen >= set(job):
            chosen.append(job)
            seen |= set(job)
    return chosen
