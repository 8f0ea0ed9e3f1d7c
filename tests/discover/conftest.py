"""The command line's own fixtures: a clean environment, a cloud to point at, commands in this process."""

from tests.cli.conftest import _elsewhere, batcher, cloud

__all__ = ["_elsewhere", "batcher", "cloud"]
