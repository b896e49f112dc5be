"""Predictions to a decision: ``evaluation.json``, a short table and figures."""
