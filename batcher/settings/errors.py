"""The error that settings end in."""

from collections.abc import Iterable

from batcher.errors import UserError


class SettingsError(UserError):
    """Settings that cannot be used; the message has a line for each, with its source, value and mend."""

    def __init__(self, findings: Iterable[str]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(self.findings))
