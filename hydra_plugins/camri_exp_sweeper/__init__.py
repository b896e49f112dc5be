"""Hydra plug-ins of camri_exp. Hydra loads them from the namespace package ``hydra_plugins`` only."""
