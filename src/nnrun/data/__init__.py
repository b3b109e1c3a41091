"""Data sets: the file `NAME.py` holds the function `NAME(...) -> Source`.

A loader reads and verifies, and does not split: `_prepare.prepare` does that for all of them alike.
"""
