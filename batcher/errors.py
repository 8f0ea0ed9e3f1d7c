"""All errors of batcher's own, in one tree. Those with a star can be imported from `batcher` itself.

    BatcherError *               whatever batcher raises by itself: catching it catches all below
    ├── UserError *              the user's to mend: one message with the way out, and an exit code
    │   ├── AcceptanceError      the file of accepted differences cannot be used
    │   ├── ExportTaken          another process writes the results file of a shared wave
    │   ├── JournalAbsent        there is no journal to read
    │   ├── JournalUnusable      there is one, and it cannot be read
    │   ├── ManifestError *      the manifest cannot be read as a whole
    │   ├── NoWave               no running wave answers
    │   ├── NotSettled           what the operator says of an entry cannot be recorded
    │   ├── OpeningStopped *     the wave was stopped while its manifest was still being read
    │   ├── ResultsError         the file is no results file, or damaged
    │   ├── ServiceLost *        a service does not answer
    │   ├── ServiceRefused *     a service says no
    │   ├── SettingsError *      settings that cannot be used
    │   ├── SpillFailed          the temporary file of running comparisons fails
    │   ├── TokensUnusable       the service's tokens file cannot be read or trusted
    │   ├── UnusableProxy        a proxy that cannot be used
    │   ├── VerdictsError *      the verdicts file cannot be used
    │   │   └── VerdictsTaken    another process follows these results
    │   └── WaveRefused *        the wave cannot begin or go on as asked
    │       └── OlderJournal     its journal is older than what happened
    ├── BadManifest *            the manifest has findings
    ├── JournalFailed *          the journal can no longer be written or read
    │   ├── JournalAway          the database with it does not answer for now
    │   └── JournalDamaged       it was damaged, and the same again will not mend it
    ├── NotAJournal *            the file is no journal that this version can read
    │   └── LogMissing           its -wal was not copied along
    ├── SinkFailed *             results can no longer be written
    │   └── ReaderGone           whoever read them went away
    │
    │   Caught inside batcher; nobody else sees them:
    ├── BadCell                  a cell of the manifest is not in the short form
    ├── BadRequest               the simulator answers a request with 400
    ├── BadStartTime             a text names no start time
    ├── HeldBack                 a request must not leave, at the last moment
    ├── IntentRefused            an order for a shared wave keeps a request from being sent
    ├── LaneLost                 the scope of a lane is another process's by now
    ├── Misnamed                 a section of the config file names nobody who can be told
    ├── NoResult                 a line is no result
    ├── NotHere                  one of several services cannot open a wave, for a reason of its own
    ├── NotJson                  a text is not JSON
    ├── NotReached               an attempt to ask a service came to nothing
    ├── NotTaken                 a message was not taken by whom it is for
    ├── PartyClosed              nothing leaves any more for whoever waited for a turn
    ├── PartyPaused              nothing leaves for now for whoever waited for a turn
    ├── PerhapsDuplicate         an entry looks like one before it
    ├── Problem                  the service refuses a request
    ├── SecretUnusable           a secret cannot be had from where it should come from
    ├── StoreFailed              the service's own database or files fail
    │   └── AuditFailed          the service cannot record what is about to be done
    ├── StreamBroken             a stream of a service broke off
    └── Unsound                  a manifest that was handed in to the service has findings

What the cloud answers is no exception but a value (`batcher.drs.outcome`), and so is what is wrong with one entry
(`batcher.manifest.Finding`).
"""


class BatcherError(Exception):
    """The root of all errors of batcher's own. Its text is for people."""


class UserError(BatcherError):
    """Something to tell the user and end on. *message* names the thing, the cause and the way out.

    *exit_code* is one of `batcher.exits`; 2 says that nothing was sent.
    """

    exit_code: int = 2

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if exit_code is not None:
            self.exit_code = exit_code
