"""Optimizers that race over a surface of two dimensions, and the picture of it."""
