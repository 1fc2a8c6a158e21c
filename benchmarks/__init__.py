"""The budgets of gitparams, measured: times and sizes, as ratios to what a user would do instead."""
