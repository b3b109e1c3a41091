"""What a run leaves on disk: folder, state, lock, metrics, checkpoints, provenance.

This package knows files and numpy arrays; it imports neither jax nor the training code.
"""
