"""Creates Huawei Cloud DRS comparison tasks in bulk: each once, none lost, never over the limit."""

from batcher._version import __version__

__all__ = ["__version__"]
