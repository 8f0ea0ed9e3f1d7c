"""In which encoding a text that is not UTF-8 may be; a guess is given only with what the text says then.

Every encoding of one byte a sign takes any text, so a guess counts only where what comes out looks like writing:
common Chinese signs, Japanese syllables, Cyrillic words, letters with accents inside of words.
"""

import re
from collections.abc import Callable, Sequence

_MOST = 4000  # characters beyond ASCII that are looked at
_ENOUGH = 0.9  # of them
_SURELY_KOREAN = 8  # of them; fewer syllables are as likely common Chinese signs
_WORD = re.compile(r"[^\W\d_]+")
_WESTERN_SIGNS = frozenset("€£§°«»“”„—…·¿¡ªº²³µ©®™\u2013\u2018\u2019\u00a0\u00b4")


def guess_encoding(data: bytes) -> tuple[str, str] | None:
    """The encoding that *data*, lines of a text, is most likely in, and a word of it that shows so; None if none is."""
    for name, share in _CANDIDATES:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        signs = [sign for sign in text if not sign.isascii()][:_MOST]
        if signs and share(text, signs) >= _ENOUGH:
            word = next((word for word in _WORD.findall(text) if not word.isascii()), signs[0])[:20]
            return (name, word) if word.isprintable() else None
    return None


def _korean(text: str, signs: Sequence[str]) -> float:
    return 0.0 if len(signs) < _SURELY_KOREAN else sum("\uac00" <= sign <= "\ud7a3" for sign in signs) / len(signs)


def _simplified(text: str, signs: Sequence[str]) -> float:
    """The share of the first level of GB 2312, the common signs, and of its punctuation."""
    common = sum(not _is_kana(sign) and _in(sign, "gb2312") and sign.encode("gb2312")[0] <= 0xD7 for sign in signs)
    return common / len(signs)


def _chinese(text: str, signs: Sequence[str]) -> float:
    """The share of what people write; the rest of the set are 20,000 rare signs, and kana."""
    return sum(not _is_kana(sign) and (_in(sign, "gb2312") or _in(sign, "big5")) for sign in signs) / len(signs)


def _traditional(text: str, signs: Sequence[str]) -> float:
    """The share of the first level of Big5, the common signs."""
    return sum(_in(sign, "big5") and sign.encode("big5")[0] <= 0xC6 for sign in signs) / len(signs)


def _japanese(text: str, signs: Sequence[str]) -> float:
    kana = sum(map(_is_kana, signs))
    return (
        (kana + sum("\u4e00" <= sign <= "\u9fff" or sign in "、。「」" for sign in signs)) / len(signs) if kana else 0.0
    )


def _cyrillic(text: str, signs: Sequence[str]) -> float:
    """The share in words that have no other letters; none where all are so short that they may be anything."""
    good, longest = sum(sign in "№«»–—" for sign in signs), 0  # noqa: RUF001
    for word in _WORD.findall(text):
        if len(word) > 1 and _one_case(word) and all("\u0400" <= sign <= "\u045f" for sign in word):
            good, longest = good + len(word), max(longest, len(word))
    return good / len(signs) if longest > 2 else 0.0


def _western(text: str, signs: Sequence[str]) -> float:
    """The share in words that have letters of ASCII, too."""
    good = sum(sign in _WESTERN_SIGNS for sign in signs)
    for word in _WORD.findall(text):
        own = sum("\u00c0" <= sign <= "\u00ff" or sign in "ŒœŠšŽžŸ" for sign in word)
        if own and own < len(word) and _one_case(word):
            good += own
    return good / len(signs)


def _one_case(word: str) -> bool:
    """Whether *word* is written as words are, with a capital at most in front."""
    return word.isupper() or word[1:].islower() or len(word) == 1


def _is_kana(sign: str) -> bool:
    return "\u3041" <= sign <= "\u30fe"


def _in(sign: str, encoding: str) -> bool:
    try:
        return len(sign.encode(encoding)) == 2
    except UnicodeEncodeError:
        return False


# Of several that read the text the first counts. A byte above ASCII and a letter behind it are a rare sign of GBK, so
# that Müller is M黮ler: rare signs are thought of last, and first of all those that everybody writes.
_CANDIDATES: tuple[tuple[str, Callable[[str, Sequence[str]], float]], ...] = (
    ("cp932", _japanese),
    ("euc_jp", _japanese),
    ("cp949", _korean),
    ("gb18030", _simplified),
    ("cp1251", _cyrillic),
    ("cp1252", _western),
    ("gb18030", _chinese),
    ("big5", _traditional),
)
