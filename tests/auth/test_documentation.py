"""docs/credentials.md names every place, every variable and every cause that the code knows."""

import re
from pathlib import Path

import pytest

from batcher.drs.auth.explain import Cause
from batcher.drs.auth.option_names import OPTION_NAMES, flag
from batcher.drs.auth.options import CredentialOptions
from batcher.drs.auth.places import BATCHER_NAMES, OPENSTACK_NAMES, SDK_NAMES, TERRAFORM_NAMES, Item
from batcher.settings.names import CREDENTIAL_NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "credentials.md").read_text()
_ROWS = [names for table in (BATCHER_NAMES, SDK_NAMES, TERRAFORM_NAMES, OPENSTACK_NAMES) for names in table.items()]
# Told once for all tools, or in the page on settings.
_ELSEWHERE = {Item.IAM_ENDPOINT, Item.PROJECT, Item.REGION, Item.PROJECT_ID}


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_row(cause: Cause) -> None:
    assert f"| `{cause}` |" in PAGE


def test_every_variable_is_named() -> None:
    variables = {name for item, names in _ROWS if item not in _ELSEWHERE for name in names}
    missing = {name for name in variables if f"`{name}`" not in PAGE and not name.endswith("_ID")}
    assert not missing


def test_flags_and_keys_are_those_of_the_page() -> None:
    kinds = {re.sub("_(env|file)$", "", name) for name in OPTION_NAMES}
    assert kinds == {"token", "ak", "sk", "security_token", "username", "domain", "password", "iam_endpoint"}
    for name in ("token_file", "token_env", "ak_file", "ak_env", "username", "domain", "password_file", "iam_endpoint"):
        assert f"{flag(name)}" in PAGE


def test_options_are_called_as_their_fields() -> None:
    assert CredentialOptions.__struct_fields__ == OPTION_NAMES


def test_settings_know_the_names_of_credentials() -> None:
    """A variable of ours that settings do not know would be reported as a slip of the pen."""
    ours = {name for item, names in BATCHER_NAMES.items() if item not in _ELSEWHERE for name in names}
    known = {f"BATCHER_{name}" for name in CREDENTIAL_NAMES}
    assert ours <= known
    assert {f"{name}_FILE" for item, (name,) in BATCHER_NAMES.items() if f"{item}_file" in OPTION_NAMES} <= known
