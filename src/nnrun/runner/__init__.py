"""One run, or several in one program: from the creation of its folder to its summary."""
