"""Running waves: which, when, and how they are steered."""
