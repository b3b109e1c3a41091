"""The report of runs: what they say, their curves, what they predict wrongly, and the page that holds it."""
