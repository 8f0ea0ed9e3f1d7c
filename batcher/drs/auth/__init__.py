"""Credentials: found where an operator already has them, kept from sight, renewed, explained when refused."""

from batcher.drs.auth.explain import Cause, Explanation, explain, explained
from batcher.drs.auth.find import CredentialFinder, CredentialSources, find_credential
from batcher.drs.auth.options import OPTION_NAMES, CredentialOptions, ScopeProfile

__all__ = [
    "OPTION_NAMES",
    "Cause",
    "CredentialFinder",
    "CredentialOptions",
    "CredentialSources",
    "Explanation",
    "ScopeProfile",
    "explain",
    "explained",
    "find_credential",
]
