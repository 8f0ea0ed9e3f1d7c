"""Commands for several machines on one database."""
