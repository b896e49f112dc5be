"""Many jobs: their grid, each job, the progress of all, and the hooks of Hydra's launchers."""
