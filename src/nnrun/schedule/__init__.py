"""Schedules: one file each, the function of the same name returns `step -> factor` in [0, 1]."""
