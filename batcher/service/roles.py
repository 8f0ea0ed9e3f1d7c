"""Who speaks, and what they may do: roles, each of which may do all that those before it may."""

from enum import IntEnum

from msgspec import Struct


class Role(IntEnum):
    """What a token lets its holder do."""

    READ = 1  # look at everything
    SUBMIT = 2  # hand in waves and steer them
    APPROVE = 3  # let a wave of somebody else go
    ADMIN = 4  # read who did what

    @property
    def word(self) -> str:
        """As people type it: "submit"."""
        return self.name.lower()


WORDS = {role.word: role for role in Role}


class Who(Struct, frozen=True, kw_only=True):
    """Who makes a request: the *name* of a token with its *role*, and the *address* it came from.

    *token* is the token's hash, None without a tokens file. *forwarded_for* is what a proxy on the way says of where it
    came from; whoever connects can write that, so it is kept and believed in nothing.
    """

    name: str
    role: Role
    address: str
    token: bytes | None = None
    forwarded_for: str | None = None

    def may(self, least: Role) -> bool:
        """Whether this is at least a *least*."""
        return self.role >= least


LOCAL = "local"  # the name of everybody who reaches a service without tokens, which is only this machine


def refusal(who: Who, least: Role) -> str | None:
    """Why *who* may not do what takes a *least*; None where it may."""
    if who.may(least):
        return None
    return f"This takes the role {least.word}, and the token {who.name!r} has {who.role.word}. Ask for another token."
