"""Config nodes to objects: Hydra's ``instantiate``, with errors that name the config key in one line."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from camri_exp.errors import UserError, first_line
from camri_exp.schema import plugins

# Config keys that are metadata, not constructor arguments, per group.
METADATA = {"data": ("name", "important_class"), "loss": ("name", "start", "partial_auc")}


def instantiate(node: DictConfig, where: str, drop: Collection[str] = (), **objects: Any) -> Any:
    """The object that ``node`` describes; ``objects`` are further arguments, which the config may override.

    Args:
        node: a config with ``_target_``.
        where: the config key, for error messages.
        drop: keys of the config that are not arguments.
        objects: arguments that no config can hold. Hydra would copy them, hence they do not pass through it.

    Raises:
        UserError: the target cannot be imported, or refused its arguments; the message is the target's own.
    """
    given = {key: value for key, value in objects.items() if node.get(key) is None}
    with explained(where):
        return partial_of(node, where, {*drop, *given})(**given)


def partial_of(node: DictConfig, where: str, drop: Collection[str] = ()) -> Callable[..., Any]:
    """A callable with the arguments of ``node`` bound, as Hydra's ``_partial_: true`` gives it.

    Raises:
        UserError: the target, or one nested in the arguments, cannot be imported, or an argument does not fit the
            annotations of the target.
    """
    target = target_of(node, where)
    content = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    assert isinstance(content, dict)
    group = where.partition("=")[0]
    settings = {str(key): value for key, value in content.items() if key not in {*METADATA.get(group, ()), *drop}}
    plugins.check_arguments(target, settings, group)
    try:
        return hydra.utils.instantiate(settings, _partial_=True, _convert_="all")
    except InstantiationException as error:
        reason = first_line(error.__cause__ or error)
        raise UserError(f"{where}: _target_={settings.get('_target_')} cannot be built: {reason}") from error


def target_of(node: DictConfig, where: str) -> Callable[..., Any]:
    """The class or function that ``node._target_`` names.

    Raises:
        UserError: it cannot be imported.
    """
    return plugins.target_of(node.get("_target_"), where)


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn an object's refusal of its arguments into an error that names the config key ``where``."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from error
    except Exception as error:
        # Lightning's own error for wrong trainer arguments. It is recognised by name, because importing Lightning
        # here would make every command slow to start.
        if type(error).__name__ == "MisconfigurationException":
            raise UserError(f"{where}: {error}") from error
        raise
