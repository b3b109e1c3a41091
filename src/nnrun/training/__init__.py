"""The step, the loop over steps, and evaluation: arrays only, no files, no spec."""
