"""Four eyes: whether a wave may be let go by this person, for this manifest. Pure.

With `--approval` a wave is `held` until somebody other than its submitter approves exactly its digest: the one that
`batcher check` prints for the same manifest, so that who approves can have looked at the same bytes.
"""

from msgspec import Struct

from batcher.service.roles import LOCAL, Role, Who

DIGEST = "sha256:"


class ApprovalRefused(Struct, frozen=True):
    """Why not: an HTTP *status*, what kind of refusal it is, and a sentence with the way out."""

    status: int
    title: str
    detail: str


def refusal(
    *, state: str, digest: str, submitted_by: str, approved_by: str | None, who: Who, given: object
) -> ApprovalRefused | None:
    """Why *who* may not approve the wave with *given*, the digest in the request; None where it is approved by that.

    What is asked of the person comes before what is asked of the wave: nobody learns of a state by trying.
    """
    if not who.may(Role.APPROVE):
        return ApprovalRefused(
            403, "Not an approver", f"Approving takes the role approve, and {who.name!r} has {who.role.word}."
        )
    if who.name == submitted_by:
        return ApprovalRefused(
            403,
            "Own wave",
            f"{who.name!r} handed this wave in, and with --approval somebody else has to approve it.",
        )
    if not isinstance(given, str) or not given.startswith(DIGEST):
        return ApprovalRefused(
            422,
            "No digest",
            'Send {"digest": "sha256:…"} of the manifest you looked at; batcher check MANIFEST prints it.',
        )
    if approved_by is not None:
        return ApprovalRefused(409, "Already approved", f"{approved_by!r} has approved this wave already.")
    if state != "held":
        return ApprovalRefused(409, "Not held", f"This wave is {state}, and only one that is held waits for approval.")
    if given != digest:
        return ApprovalRefused(
            409,
            "Another digest",
            f"This wave's manifest has the digest {digest}, not {given[:80]}: look at it again before you approve.",
        )
    return None


def unfit(*, approval: bool, tokens: bool) -> str | None:
    """Why a service cannot be started so; None where it can."""
    if approval and not tokens:
        return (
            f"--approval needs --tokens FILE: without tokens everybody is {LOCAL!r}, so nobody could approve what "
            "another handed in. Make them with batcher token new NAME --role approve."
        )
    return None
