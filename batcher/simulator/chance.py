"""Chance that depends on what it is asked about, never on when: the same seed and key give the same draw."""

from hashlib import blake2b

_SCALE = 2.0**-64


def draw(seed: int, *key: object) -> float:
    """A number in [0, 1) for *key*, uniform over keys. Order of arrival has no part in it."""
    return int.from_bytes(_digest(seed, key, 8)) * _SCALE


def draw_hex(seed: int, *key: object) -> str:
    """32 hexadecimal digits for *key*, to make ids from."""
    return _digest(seed, key, 16).hex()


def _digest(seed: int, key: tuple[object, ...], size: int) -> bytes:
    return blake2b("\0".join(map(str, (seed, *key))).encode(), digest_size=size).digest()
