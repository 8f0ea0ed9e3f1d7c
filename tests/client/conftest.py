"""The service's simulated cloud, for its clients."""

from tests.service.conftest import cloud

__all__ = ["cloud"]
