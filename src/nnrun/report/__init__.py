"""Looking at run folders: tables, curves, statistics."""
