"""What a test registers as a secret is forgotten after it: other tests may use such words for other things."""

from collections.abc import Iterator

import pytest

from batcher import masking


@pytest.fixture(autouse=True)
def _secrets_of_one_test() -> Iterator[None]:
    before = set(masking._registered)
    yield
    masking._registered.clear()
    masking._registered.update(before)
