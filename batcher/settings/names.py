"""The names under which settings and credentials are given."""

ENV_PREFIX = "BATCHER_"
CONFIG_NAME = "batcher.toml"

# Names in our environment that are no settings: credentials and other secrets, and how settings are found.
CREDENTIAL_NAMES = (
    "TOKEN",
    "TOKEN_FILE",
    "AK",
    "AK_FILE",
    "SK",
    "SK_FILE",
    "SECURITY_TOKEN",
    "SECURITY_TOKEN_FILE",
    "USERNAME",
    "PASSWORD",
    "PASSWORD_FILE",
    "DOMAIN",
    "IAM_ENDPOINT",
)
OTHER_NAMES = (
    *("CONFIG", "PROFILE", "NOTIFY_SECRET", "NOTIFY_SECRET_FILE", "TOKENS"),
    *("SERVICE", "SERVICE_TOKEN", "SERVICE_TOKEN_FILE"),
)


def flag_name(name: str) -> str:
    """The flag of the setting *name*."""
    return "--" + name.replace("_", "-")


def variable_name(name: str) -> str:
    """The environment variable of the setting *name*."""
    return ENV_PREFIX + name.upper()
