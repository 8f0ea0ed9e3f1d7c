"""The manifest room: formats, the entry, and every check made before anything is sent."""
