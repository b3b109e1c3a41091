"""What can be found out about a spec before its run."""
