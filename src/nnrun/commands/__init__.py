"""The commands of the command line, a module for each group; jax is imported inside those that need it."""
