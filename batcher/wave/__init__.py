"""The engine's room: one wave from plan to results."""
