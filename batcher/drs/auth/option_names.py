"""What a credential option is called: apart from the options themselves, which take longer to load than flags need."""

OPTION_NAMES = (
    "token_env",
    "token_file",
    "ak_env",
    "ak_file",
    "sk_env",
    "sk_file",
    "security_token_env",
    "security_token_file",
    "username",
    "domain",
    "password_env",
    "password_file",
    "iam_endpoint",
)
"""The fields of `CredentialOptions`, in their order."""


def flag(name: str) -> str:
    """The flag of an option."""
    return "--" + name.replace("_", "-")
