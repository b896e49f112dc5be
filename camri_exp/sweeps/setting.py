"""What ``result.json`` says for reports: the setting that a run belongs to, and whether the important class matters."""

import inspect
from typing import Any

from omegaconf import DictConfig, OmegaConf

from camri_exp.results import config_hash

NOT_PARAMETERS = ("_target_", "name")


def about(cfg: DictConfig, loss: object) -> dict[str, Any]:
    """``setting``: equal for runs that differ by nothing but the seed; and the loss's parameters as configured.

    A run is ``class_free`` when neither its loss nor its callbacks ask for the important class: it trains the same
    whichever that is, and stands in a report for every class.
    """
    asks = "important_class" in inspect.signature(type(loss)).parameters
    class_free = not asks and "important" not in OmegaConf.to_yaml(cfg.callbacks, resolve=True)
    common = OmegaConf.merge(cfg, {"seed": None, **({"important_class": None} if class_free else {})})
    assert isinstance(common, DictConfig)
    parameters = OmegaConf.to_container(cfg.loss, resolve=True)
    assert isinstance(parameters, dict)
    return {
        "setting": config_hash(common),
        "class_free": class_free,
        "loss_parameters": {
            key: value for key, value in parameters.items() if key not in NOT_PARAMETERS and value is not None
        },
    }
