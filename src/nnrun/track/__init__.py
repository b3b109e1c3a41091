"""Sending what runs have logged to trackers, from their folders, by a process of its own: no run waits for it."""
