"""What is looked at in a run that has trained: its predictions example by example, and its weights; writes nothing."""
