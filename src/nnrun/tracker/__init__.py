"""Trackers: what keeps a copy of what runs log, elsewhere."""
