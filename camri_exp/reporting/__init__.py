"""From the runs of sweeps to a decision: collect, select, compare, conclude, draw."""
