"""A given token is sent as it is, and taken again from its file when that changes."""

from pathlib import Path

import pytest

from batcher.drs.auth.secret import FileSecret, GivenSecret, SecretUnusable
from batcher.drs.auth.token import TokenCredential
from batcher.drs.cloud import HttpRequest
from tests.auth.test_secret import replaced

REQUEST = HttpRequest(method="POST", url="https://drs.example.com/v3/p1/jobs/x", headers={}, body=b"{}")


async def test_a_token_file_that_changes_on_disk_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("token-one\n")
    credential = TokenCredential(FileSecret(path, "the file"))
    used = credential.headers(REQUEST)
    assert used == {"X-Auth-Token": "token-one"}
    assert not await credential.renew(used), "nothing newer: the scope must stop"
    replaced(path, "token-two\n")
    assert await credential.prepare() is None
    assert credential.headers(REQUEST) == {"X-Auth-Token": "token-two"}
    assert await credential.renew(used), "there is a newer one than the refused one"


async def test_a_token_in_the_environment_cannot_be_renewed() -> None:
    credential = TokenCredential(GivenSecret("token-one", "BATCHER_TOKEN"))
    assert await credential.prepare() is None
    assert not await credential.renew(credential.headers(REQUEST))


def test_the_header_does_not_show_in_a_repr() -> None:
    credential = TokenCredential(GivenSecret("token-one", "BATCHER_TOKEN"))
    assert "token-one" not in repr(credential.headers(REQUEST))


@pytest.mark.parametrize("text", ["Bearer abc", "X-Auth-Token: abc", "töken", "a'b", "[1]"])
def test_what_is_no_token_is_said_before_the_cloud_sees_it(text: str) -> None:
    with pytest.raises(SecretUnusable):
        TokenCredential(GivenSecret(text, "BATCHER_TOKEN"))
