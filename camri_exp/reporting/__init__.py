"""Many runs to a decision: collect, select, compare, conclude, draw."""
