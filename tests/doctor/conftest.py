"""The command line's own fixtures."""

from tests.cli.conftest import _elsewhere, batcher, cloud

__all__ = ["_elsewhere", "batcher", "cloud"]
