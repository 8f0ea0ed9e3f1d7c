"""Sound entries of every shape, as JSON has them."""

from typing import Any

from hypothesis import strategies as st

from batcher.manifest.damage import ExpectedText, damage_of, ruined_name
from batcher.manifest.envelope import is_key
from tests.manifest.reading import LATER

# Everything that can stand in a name: not NUL, which CSV cannot hold, and no half of a surrogate pair.
_SIGNS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
NAMES = st.text(_SIGNS, min_size=1, max_size=8).filter(lambda name: ruined_name(name) is None)
_LABELS = NAMES.filter(lambda text: damage_of(text, ExpectedText.LABEL) is None)
_IDS = st.text("abcdef0123456789-_", min_size=1, max_size=12).filter(
    lambda text: damage_of(text, ExpectedText.ID) is None
)
_KEYS = st.text(min_size=1, max_size=12).filter(is_key)


def _maybe(strategy: st.SearchStrategy[Any], *empty: Any) -> st.SearchStrategy[Any]:
    return st.one_of(*(st.just(value) for value in empty), strategy)


def _without_none(made: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made.items() if value is not None}


_INFOS = st.lists(
    st.fixed_dictionaries({"db_name": NAMES}, optional={"table_name": st.lists(NAMES, min_size=1, max_size=3)}),
    min_size=1,
    max_size=3,
)
_TOKENS = st.fixed_dictionaries({"table_name": NAMES}, optional={"min_token": st.text(_SIGNS), "max_token": NAMES})
_INFOS_WITH_TOKEN = st.lists(
    st.fixed_dictionaries({"db_name": NAMES}, optional={"table_name_with_token": st.lists(_TOKENS, max_size=2)}),
    min_size=1,
    max_size=2,
)


@st.composite
def _data_level(draw: st.DrawFn) -> dict[str, Any]:
    quick = draw(st.booleans())
    info: dict[str, Any] = {
        "conflict_policy": draw(st.sampled_from(["cancel", "keep"])),
        "compare_type": draw(st.sampled_from(["lines", "contents"])),
        "start_time": draw(st.sampled_from([None, "", LATER, "2027-01-16T00:00:00Z"])),
    }
    if quick:
        info["compare_mode"] = "quick_comparison"
    elif draw(st.booleans()):
        info["compare_object_infos_with_token"] = draw(_INFOS_WITH_TOKEN)
    else:
        info["compare_object_infos"] = draw(_INFOS)
    return info


@st.composite
def elements(draw: st.DrawFn) -> dict[str, Any]:
    """One sound entry; its job is unlike any other's only by chance."""
    info = draw(_maybe(_data_level(), None))
    objects = info is None or (info["compare_type"] == "lines" and draw(st.booleans()))
    return _without_none(
        {
            "job_id": draw(_IDS),
            "object_level_compare_type": "objects" if objects else draw(st.sampled_from([None, ""])),
            "data_level_compare_info": info,
            "key": draw(_maybe(_KEYS, None, "")),
            "project_id": draw(_maybe(_IDS, None, "")),
            "region": draw(st.sampled_from([None, "", "eu-west-101"])),
            "x_language": draw(st.sampled_from([None, "", "en-us", "zh-cn"])),
            "labels": draw(_maybe(st.dictionaries(NAMES, _LABELS, max_size=2), None)),
        }
    )
