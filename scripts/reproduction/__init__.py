"""The parts of scripts/reproduce.py: the plan of a study, the archive of its runs, and the page of results."""
