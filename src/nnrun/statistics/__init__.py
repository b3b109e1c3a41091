"""Intervals, tests, budgets and calibration, from plain numbers; imports nothing of nnrun."""
