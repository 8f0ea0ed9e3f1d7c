"""Foreign text made fit for a terminal: no control characters, no more than fits."""


def printable(text: str, limit: int | None = None) -> str:
    """*text* on one line, control and other unprintable characters escaped, shortened to *limit* characters."""
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
    if limit is not None and len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    return line


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """ "1 entry", "3,012 entries"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
