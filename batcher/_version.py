"""The one place of the version: the build, `batcher --version` and the User-Agent read it here."""

__version__ = "0.1.0"
