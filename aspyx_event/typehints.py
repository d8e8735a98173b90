"""Reading annotations that may not be resolvable where we stand."""

from __future__ import annotations

import inspect
import typing
from typing import Any, Callable, Union, get_args, get_origin


def hint_of_first_parameter(function: Callable[..., Any], *, skip_self: bool) -> Any:
    """The resolved annotation of the first parameter; None when there is none or it cannot be resolved.

    ``typing.get_type_hints`` raises NameError for classes defined inside functions under
    ``from __future__ import annotations``; such an annotation is unknown here, not wrong.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    parameters = parameters[1:] if skip_self else parameters
    if not parameters or parameters[0].annotation is inspect.Parameter.empty:
        return None
    annotation = parameters[0].annotation
    if not isinstance(annotation, str):
        return annotation
    try:
        return typing.get_type_hints(function).get(parameters[0].name)
    except Exception:  # noqa: BLE001 - whatever evaluating somebody's annotation raises, the answer is the same
        return None


def union_members(hint: Any) -> tuple[Any, ...]:
    """The members of a union in either notation; a one-tuple for everything else."""
    origin = get_origin(hint)
    if origin is Union or type(hint).__name__ == "UnionType":
        return get_args(hint)
    return (hint,)


def accepts(hint: Any, wanted: type) -> bool:
    """Whether something annotated with ``hint`` takes an instance of ``wanted``. In doubt it does."""
    return any(_takes(member, wanted) for member in union_members(hint))


def _takes(member: Any, wanted: type) -> bool:
    if member is Any or not isinstance(member, type):  # Any is a class since Python 3.11
        return True
    try:
        return issubclass(wanted, member)
    except TypeError:  # a protocol, a TypedDict, list[int] on Python 3.9: no question for issubclass
        return True
