"""The parts of scripts/torture.py: processes that are interrupted, the tries, and the page."""
