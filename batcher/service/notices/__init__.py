"""What the service tells others by itself: whom, of what, and how it gets there."""
