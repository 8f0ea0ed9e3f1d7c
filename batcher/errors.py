"""Errors that are the user's to mend: one clear sentence and an exit code, never a traceback."""


class UserError(Exception):
    """Something to tell the user and end on. *message* names the thing, the cause and the way out.

    *exit_code* is one of `batcher.cli.exits`; 2 says that nothing was sent.
    """

    exit_code: int = 2

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if exit_code is not None:
            self.exit_code = exit_code
