"""What flags and config files may say about credentials: where the secrets are, never the secrets themselves."""

from pathlib import Path

from msgspec import Struct

from batcher.drs.auth.option_names import OPTION_NAMES


class CredentialOptions(Struct, frozen=True, kw_only=True):
    """Flags of a command, or one section of the config file: each field is a flag and a key of the same name.

    `…_env` names an environment variable, `…_file` a file (`-`: standard input); the secret is in there.
    """

    token_env: str | None = None
    token_file: Path | None = None
    ak_env: str | None = None
    ak_file: Path | None = None
    sk_env: str | None = None
    sk_file: Path | None = None
    security_token_env: str | None = None
    security_token_file: Path | None = None
    username: str | None = None
    domain: str | None = None
    password_env: str | None = None
    password_file: Path | None = None
    iam_endpoint: str | None = None

    def __bool__(self) -> bool:
        """Whether anything is said; an IAM endpoint alone is a detail, and no credential."""
        return any(getattr(self, name) is not None for name in OPTION_NAMES if name != "iam_endpoint")


NO_OPTIONS = CredentialOptions()


class ScopeProfile(Struct, frozen=True, kw_only=True):
    """A section `[profiles.NAME]` of the config file that has credentials of its own for one project.

    *endpoint* is normalised; None: for the project wherever it is.
    """

    name: str
    origin: str  # "batcher.toml, [profiles.NAME]"
    project_id: str
    options: CredentialOptions
    endpoint: str | None = None
