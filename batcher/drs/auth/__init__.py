"""Credentials: found where an operator already has them, kept from sight, renewed, explained when refused."""
