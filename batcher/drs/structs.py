"""Structs with the fields of a pydantic model: what they take the model takes too, with the same values, at a fifth of
the time. What they refuse may be sound as well: the model has the last word."""

from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from annotated_types import Ge, Le
from pydantic import BaseModel, BeforeValidator, PlainSerializer
from pydantic.fields import FieldInfo

UNTOLD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding into a struct raises where the model has to say what it is."""

_NO_BOUNDS = msgspec.Meta()


@cache
def struct_of(model: type[BaseModel], *, only_known: bool = False) -> type[msgspec.Struct]:
    """The struct of *model*. It knows nothing of validators that widen what a field takes: it takes less; with
    *only_known* no field that the model does not name, here or in its parts.

    Raises TypeError where a field is narrowed by something else than `ge` and `le`.
    """
    fields: list[Any] = []
    for name, field in model.model_fields.items():
        kind = _kind(field.annotation, _bounds(field), only_known)
        fields.append((name, kind) if field.is_required() else (name, kind, field.default))
    strict = only_known or model.model_config.get("extra") == "forbid"
    return msgspec.defstruct(model.__name__, fields, forbid_unknown_fields=strict, kw_only=True, gc=False)


def _bounds(field: FieldInfo) -> msgspec.Meta:
    """Raises TypeError where the field is narrowed by something that a struct would not see."""
    told: dict[str, Any] = {}
    for one in field.metadata:
        match one:
            case Ge(ge=int(least)):
                told["ge"] = least
            case Le(le=int(most)):
                told["le"] = most
            case BeforeValidator() | PlainSerializer():
                pass
            case _:
                raise TypeError(f"a struct cannot be held to {one!r}")
    return msgspec.Meta(**told)


def _kind(annotation: Any, bounds: msgspec.Meta, only_known: bool) -> Any:
    """*annotation* with structs for models; a number in it is within *bounds*."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return reduce(or_, (_kind(one, bounds, only_known) for one in arguments))
    if origin is Annotated:
        within = next((_bounds(one) for one in arguments[1:] if isinstance(one, FieldInfo)), bounds)
        return _kind(arguments[0], within, only_known)
    if origin in (list, tuple):
        inner = _kind(arguments[0], _NO_BOUNDS, only_known)
        return GenericAlias(list, (inner,)) if origin is list else GenericAlias(tuple, (inner, ...))
    if origin is dict:
        return GenericAlias(dict, (arguments[0], _kind(arguments[1], _NO_BOUNDS, only_known)))
    if origin is not None and issubclass(origin, Mapping):
        return GenericAlias(dict, arguments)
    if annotation is NoneType or annotation is None:
        return None
    if issubclass(annotation, BaseModel):
        return struct_of(annotation, only_known=only_known)
    return annotation if bounds == _NO_BOUNDS or annotation is not int else Annotated[int, bounds]
