"""Runs to a decision: running many, collecting what they left, the selection protocol, tables and the report."""
