"""What to do about each kind of trouble, in one sentence each."""

from batcher.drs.outcome import ErrorKind
from batcher.life.result import Status

# AGAIN stands for the command that takes the entry up again.
_BY_KIND = {
    ErrorKind.VALIDATION: "Mend these entries as error_msg says, and submit them as a new wave "
    "(batcher select writes them as a manifest).",
    ErrorKind.AUTH: "Renew the credential, then AGAIN.",
    ErrorKind.PERMISSION: "Have this user granted the DRS permissions of the project, then AGAIN.",
    ErrorKind.NOT_FOUND: "Compare job_id and project_id with the console: the cloud knows no such job there.",
    ErrorKind.STATE: "Have the jobs in INCRE_TRANSFER_STARTED and, under keep, their unfinished comparisons ended, "
    "then AGAIN; --wait-ready waits for that.",
    ErrorKind.CONFLICT: "Another comparison of the job is in the way: let it end, then AGAIN.",
    ErrorKind.THROTTLED: "The cloud's limit is lower than ours: lower --rate, then AGAIN.",
    ErrorKind.SERVER: "The cloud failed: AGAIN; if it stays, its support desk needs the request_id.",
    ErrorKind.NETWORK: "Look at network, DNS and proxy between here and the endpoint, then AGAIN.",
    ErrorKind.TIMEOUT: "The cloud was slow to answer: AGAIN, with a longer --timeout if it stays.",
    ErrorKind.PROTOCOL: "Something between here and the cloud answered in its place (a proxy?): look, then AGAIN.",
    ErrorKind.STOPPED: "AGAIN: it goes on from here.",
}
# Codes whose cause is another than that of most of their kind.
_BY_CODE = {
    "DRS.M01503": "These jobs were asked for too often at once: AGAIN when nobody else works on them.",
    "DRS.M01504": "Another operation runs on these jobs, or they are abnormal: see the console, then AGAIN.",
    "DRS.10000024": "Another operation runs on these jobs, or they are abnormal: see the console, then AGAIN.",
    "DRS.M00307": "These jobs have subtasks, and only those are compared: put their ids in the manifest.",
    "DRS.M05004": "These jobs were deleted or released: take them out of the manifest, or ask who did it.",
}
_SILENT = {
    ErrorKind.VALIDATION: "The cloud does not say what is wrong: look at the request "
    "(batcher check MANIFEST --key KEY) and its code in the API reference.",
}


def advice(status: Status, kind: ErrorKind | None, code: str | None = None, *, says: bool = True) -> str:
    """What to do about entries that ended as *status* because of *kind*.

    *code* is the cloud's; *says* is whether the entries have an error_msg that tells what is wrong.
    """
    match status:
        case Status.UNSETTLED if kind is ErrorKind.STOPPED:
            return "Run the same command again: it looks them up in the cloud before anything else."
        case Status.UNSETTLED:
            return (
                "Never sent again on its own. Look at the job's comparisons in the console, then tell: "
                "batcher settle RESULTS --key KEY --as …"
            )
        case Status.INVALID:
            return "Mend these entries in the manifest as error_msg says, and submit them as a new wave."
        case Status.NOT_SUBMITTED if kind is None:
            kind = ErrorKind.STOPPED
    if kind is None:
        return "See error_msg of these entries." if says else "See what was done for one of them: batcher explain."
    said = _BY_CODE.get(code or "") or (_BY_KIND[kind] if says else _SILENT.get(kind, _BY_KIND[kind]))
    again = "run the same command again"
    if status in (Status.FAILED, Status.PARTIAL):
        again += " with --retry-failed"
        if kind is ErrorKind.STOPPED:  # it has a result, with which the same command leaves it alone
            said = "AGAIN, if they are still to be created."
    said = said.replace("AGAIN", again)
    return said[0].upper() + said[1:]
