"""What to do about each kind of trouble, in one sentence each."""

from batcher.drs.outcome import ErrorKind
from batcher.life.result import Status

_AGAIN = "run the same command again with --retry-failed"

_BY_KIND = {
    ErrorKind.VALIDATION: "Mend these entries as error_msg says, and submit them as a new wave "
    "(batcher select writes them as a manifest).",
    ErrorKind.AUTH: "Renew the credential, then run the same command again.",
    ErrorKind.PERMISSION: f"Have this user granted the DRS permissions of the project, then {_AGAIN}.",
    ErrorKind.NOT_FOUND: "Compare job_id and project_id with the console: the cloud knows no such job there.",
    ErrorKind.STATE: "Have the jobs in INCRE_TRANSFER_STARTED and, under keep, their unfinished comparisons ended, "
    f"then {_AGAIN}; --wait-ready waits for that.",
    ErrorKind.CONFLICT: f"Another comparison of the job is in the way: let it end, then {_AGAIN}.",
    ErrorKind.THROTTLED: f"The cloud's limit is lower than ours: lower --rate, then {_AGAIN}.",
    ErrorKind.SERVER: f"The cloud failed: {_AGAIN}; if it stays, its support desk needs the request_id.",
    ErrorKind.NETWORK: f"Look at network, DNS and proxy between here and the endpoint, then {_AGAIN}.",
    ErrorKind.TIMEOUT: f"The cloud was slow to answer: {_AGAIN}, with a longer --timeout if it stays.",
    ErrorKind.PROTOCOL: f"Something between here and the cloud answered in its place (a proxy?): look, then {_AGAIN}.",
    ErrorKind.STOPPED: "Run the same command again: it goes on from here.",
}


def advice(status: Status, kind: ErrorKind | None) -> str:
    """What to do about entries that ended as *status* because of *kind*."""
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
        case Status.NOT_SUBMITTED if kind in (None, ErrorKind.STOPPED):
            return _BY_KIND[ErrorKind.STOPPED]
    return _BY_KIND[kind] if kind is not None else "See error_msg of these entries."
