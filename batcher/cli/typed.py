"""The command line as it may be shown and kept: to be typed again, without what must not happen twice, and without
secrets."""

import re
import shlex
from collections.abc import Iterator, Sequence

from batcher.masking import MASK, mask_text

_ONCE = frozenset({"--restart", "--retry-failed"})
# What stands after these is a secret, or may hold one: whoever has a webhook's address can post to it.
_CONFIDENTIAL = re.compile(r"(--(?:notify|on-end))(=.*)?", re.DOTALL)


def typed(words: Sequence[str]) -> str:
    """`batcher` with *words*, for a shell; what is hidden stands there as `***`."""
    return mask_text(shlex.join(["batcher", *_shown(words)]).replace(f"'{MASK}'", MASK))


def _shown(words: Sequence[str]) -> Iterator[str]:
    hidden = False
    for word in words:
        found = _CONFIDENTIAL.fullmatch(word)
        if hidden:
            yield MASK
        elif found is not None and found[2] is not None:
            yield f"{found[1]}={MASK}"
        elif word not in _ONCE:
            # Its parts by themselves: quoted for a shell, a secret need not look like one.
            yield mask_text(word)
        hidden = not hidden and found is not None and found[2] is None
