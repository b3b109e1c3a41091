"""A trained model as a folder that needs nothing of nnrun."""
