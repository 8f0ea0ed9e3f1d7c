"""What makes a manifest unreadable as a whole. What is wrong with one entry is a `Finding`, a value."""

from batcher.errors import UserError
from batcher.manifest.entry import Finding
from batcher.manifest.findings import finding_line


class ManifestError(UserError):
    """The file cannot be read as a manifest; the text names it, the place, the cause and the way out."""

    def __init__(
        self, file: str, problem: str, mend: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        self.finding = Finding(
            file=file, line=line, column=column, index=None, field=None, value=None, problem=problem, mend=mend
        )
        super().__init__(finding_line(self.finding))
