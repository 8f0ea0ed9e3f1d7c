"""Keys that stand twice are found by counting colons; a decoder that looks is the judge."""

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from batcher.manifest.formats.strict_json import twice_keys


def written(value: Any, gaps: st.DataObject) -> str:
    """*value* as JSON, objects given as lists of pairs, with spaces and escapes wherever they may stand."""
    space = gaps.draw(st.sampled_from(["", " ", "\n"]))
    match value:
        case ("object", pairs):
            inner = ",".join(f"{written(key, gaps)}{space}:{written(part, gaps)}" for key, part in pairs)
            return f"{{{inner}}}"
        case list():
            return f"[{','.join(written(part, gaps) for part in value)}]"
        case str() if gaps.draw(st.booleans()):
            return '"' + "".join(f"\\u{ord(sign):04x}" for sign in value) + '"'
    return json.dumps(value)


def truth(text: str) -> list[str]:
    """The keys that stand twice, each once."""
    twice: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice.extend(key for key in dict.fromkeys(keys) if keys.count(key) > 1 and key not in twice)
        return dict(pairs)

    json.loads(text, object_pairs_hook=look)
    return twice


TEXTS = st.text('a:",\\', max_size=3)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(0, 9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(st.just("object"), st.lists(st.tuples(TEXTS, inner), max_size=4))
    ),
    max_leaves=12,
)


@given(VALUES, st.data())
def test_twice_keys_are_those_that_a_careful_decoder_finds(value: Any, data: st.DataObject) -> None:
    """Whatever colons, quotes and escapes stand in texts, and wherever the text lies in a longer one."""
    text = written(value, data)
    assert sorted(twice_keys(orjson.loads(text), f'{{"x":{text}', 5, 5 + len(text))) == sorted(truth(text))
