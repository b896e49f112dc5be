"""Use the whole presets of ``configs/hydra`` instead of the schemas that other plug-ins register."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin


class OwnPresets(SearchPathPlugin):
    """Keeps Hydra from merging schemas of other plug-ins into presets of the same name in ``configs/hydra``.

    Hydra warns where it merges, and refuses where the schema has defaults, as that of Optuna does. Other applications
    in the same environment keep their schemas.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        from camri_exp.cli import CONFIGS

        if str(CONFIGS) not in {str(item.path).removeprefix("file://") for item in search_path.get_path()}:
            return
        store = ConfigStore.instance().repo["hydra"]
        for preset in CONFIGS.glob("hydra/*/*.yaml"):
            store.get(preset.parent.name, {}).pop(preset.name, None)
