"""What scripts/reproduce.py is made of: the plan of a study, what is kept of it, and the page that tells it."""
