"""Inviting workers to a scope that has work: SQL alone, so that a plan invites in the transaction that writes it.

An invitation is a job of procrastinate (https://procrastinate.readthedocs.io), which wakes whoever listens. Nothing
depends on it: who may send in a scope is the lease's to say, and workers look around by themselves as well
(`batcher/machines`). So an invitation may be lost, come twice, or come to nobody.

Its tables are in a schema beside ours, made by the same migration: procrastinate has no version table, and a second try
to make them fails. It finds them by `search_path`, which `invite` therefore sets for itself and for its triggers.
"""

QUEUE = "batcher"
TASK = "batcher.invited"
ENGINE_VERSION = "3.10"
"""Of procrastinate, whose tables were made; `pyproject.toml` pins it."""


def made(schema: str) -> str:
    """SQL that makes the *schema* where it is not there: to make one that is needs rights on the whole database."""
    return f'DO $do$ BEGIN IF to_regnamespace(\'"{schema}"\') IS NULL THEN CREATE SCHEMA "{schema}"; END IF; END $do$;'


def beside(schema: str) -> str:
    """The schema of the invitations to what is in *schema*."""
    return f"{schema}_invitations"
