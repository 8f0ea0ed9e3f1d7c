"""How the `defaults` of a JSON manifest and an entry become one."""

from collections.abc import Mapping
from typing import Any

from batcher.manifest.fields import DATA_LEVEL

_MERGED = (DATA_LEVEL, "labels")
_ALTERNATIVES = ("region", "endpoint")


def merged(defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """*entry* over *defaults*: field by field, `data_level_compare_info` and `labels` too; lists are replaced whole.

    What the entry has as null takes the default away. An entry's region beats the defaults' endpoint, and the
    other way round. The object lists are alternatives in the same way. Neither argument is changed.
    """
    result = _over(defaults, entry, _ALTERNATIVES)
    for name in _MERGED:
        default, own = defaults.get(name), entry.get(name)
        if isinstance(default, dict) and isinstance(own, dict):
            result[name] = _over(default, own, _LISTS if name == DATA_LEVEL else ())
    return result


_LISTS = ("compare_object_infos", "compare_object_infos_with_token")


def _over(defaults: Mapping[str, Any], own: Mapping[str, Any], alternatives: tuple[str, ...]) -> dict[str, Any]:
    if any(own.get(name) for name in alternatives):
        defaults = {name: value for name, value in defaults.items() if name not in alternatives}
    return {**defaults, **own}
