"""What people read in place of the dotted names of events, which `docs/logging.md` lists with their fields.

A log for machines has the name. What has no sentence here reads well by its name and fields alone.
"""

SENTENCES = {
    "comparison.unasked": "the cloud made a comparison that was not asked for",
    "control.unreachable": "batcher control cannot reach this wave",
    "credential.found": "a credential was found",
    "credential.iam_unreachable": "IAM cannot be asked: the scope waits",
    "entry.held_back": "a job is not ready: its entries wait until it is",
    "journal.deleted": "the journal was deleted or moved; all that it held is kept",
    "journal.lost": "the journal is lost",
    "journal.outdated": "another run may have gone on with a newer journal: each entry is looked up before it is sent",
    "limit.confirmed": "the limit that the cloud named holds",
    "limit.exceeded": "turned away by the cloud's limit",
    "notice.defect": "a notification failed: this is a defect",
    "notice.failed": "a notification was not taken: it is sent again",
    "notice.given_up": "a notification was not taken, and is given up",
    "notice.postponed": "notifications wait: the service's database fails",
    "request.repeated": "something on the way to the cloud repeats requests: "
    "what was in an entry's way is its own comparison",
    "scope.paused": "most attempts fail: the scope is paused",
    "scope.resumed": "the cloud answers again: the scope goes on",
    "scope.stopped": "the scope stopped",
    "service.ending": "the service ends: nothing new is sent, and what is in flight is settled",
    "service.failed": "a request failed: this is a defect",
    "service.serving": "the service is there",
    "service.store_failed": "the service's database cannot be written: it is tried again",
    "service.tokens_unusable": "the tokens file cannot be used: nobody is let in",
    "service.wave_accepted": "a wave was accepted",
    "service.wave_begun": "a wave has begun",
    "service.wave_ended": "a wave has ended",
    "service.wave_failed": "a wave failed: this is a defect",
    "service.wave_refused": "a wave cannot be run",
    "snapshot.missing": "the job's comparisons could not be listed before its request",
    "watch.answers_again": "the cloud answers again: verdicts are read on",
    "watch.no_answer": "the cloud does not answer: verdicts are asked for until it does",
    "watch.no_journal": "no journal is read: what it knows of each comparison is missing",
    "wave.changed": "changed by the operator",
    "wave.concurrency_lowered": "few files may be open at once (ulimit -n): fewer requests go out at once",
    "wave.stopping": "the wave stops",
}
