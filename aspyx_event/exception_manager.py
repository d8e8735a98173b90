"""Handlers for the exceptions that happen where no caller can catch them."""

from __future__ import annotations

import contextvars
import inspect
import logging
import typing
from typing import Any, Callable, Optional, TypeVar

from aspyx_event.events import place
from aspyx_event.exceptions import ConfigurationError, Reject, Retry
from aspyx_event.typehints import hint_of_first_parameter, union_members

logger = logging.getLogger(__name__)

H = TypeVar("H", bound=Callable[..., Any])
Handler = Callable[[Any], Any]

_MARK = "__aspyx_catch__"
_CONTEXT: contextvars.ContextVar[Optional[tuple[BaseException, tuple[Handler, ...]]]] = contextvars.ContextVar(
    "aspyx_event_catch", default=None
)


def catch() -> Callable[[H], H]:
    """Mark a method with one annotated parameter as the handler for exceptions of that type."""

    def mark(method: H) -> H:
        if not callable(method):
            raise ConfigurationError(f"@catch() stands on {method!r}: it belongs on a method")
        setattr(method, _MARK, True)
        return method

    return mark


class ExceptionManager:
    """Finds the handler for an exception by its type. Thread-safe once the handlers are collected.

    It sees every failed handling attempt, decode failures, and failures of background connections.
    """

    def __init__(self) -> None:
        self._handlers: list[tuple[type[BaseException], Handler]] = []

    def collect_handlers(self, obj: Any) -> None:
        """Add the methods of ``obj`` that are marked with ``@catch()``.

        Raises ConfigurationError when an annotation is missing, cannot be resolved or is no exception class, and
        when two handlers are for the same class.
        """
        for name, _ in inspect.getmembers(type(obj), lambda member: getattr(member, _MARK, False)):
            method = getattr(obj, name)
            for kind in self._caught_by(method):
                other = next(
                    (handler for known, handler in self._handlers if known is kind and handler != method), None
                )
                if other is not None:
                    raise ConfigurationError(
                        f"two handlers for {kind.__name__}: {place(other)} and {place(method)}; remove one"
                    )
                if (kind, method) not in self._handlers:
                    self._handlers.append((kind, method))

    def handle(self, exception: BaseException) -> BaseException:
        """Call the most specific handler; what it returns (None: nothing) replaces the exception.

        ``Retry`` and ``Reject`` pass untouched. A handler that raises is logged and counts as none: this never raises.
        """
        if isinstance(exception, (Retry, Reject)):
            return exception
        handlers = self._handlers_for(exception)
        if not handlers:
            return exception
        try:
            return contextvars.copy_context().run(_call, exception, handlers)
        except BaseException:  # sys.exit() in a handler must not end the dispatcher either
            logger.exception("the handler %s raised while it handled %r", place(handlers[0]), type(exception).__name__)
            return exception

    @staticmethod
    def proceed(exception: BaseException | None = None) -> BaseException | None:
        """Inside a handler: call the next more general one and return what it makes of the exception.

        Without a more general handler the exception itself comes back. Raises ConfigurationError outside a handler.
        """
        current = _CONTEXT.get()
        if current is None:
            raise ConfigurationError("proceed() is for use inside a @catch() handler")
        caught, rest = current
        return _call(exception or caught, rest)

    def _handlers_for(self, exception: BaseException) -> tuple[Handler, ...]:
        order = {kind: position for position, kind in enumerate(type(exception).__mro__)}
        fitting = [(order[kind], handler) for kind, handler in self._handlers if kind in order]
        ordered = [handler for _, handler in sorted(fitting, key=lambda pair: pair[0])]
        return tuple(dict.fromkeys(ordered))  # one for a union may fit more than once

    @staticmethod
    def _caught_by(method: Handler) -> tuple[type[BaseException], ...]:
        where = f"@catch() on {place(method)}"
        if inspect.iscoroutinefunction(method):
            raise ConfigurationError(f"{where}: it is async, and would never run: write it as an ordinary method")
        parameters = list(inspect.signature(method).parameters.values())
        if len(parameters) != 1:
            raise ConfigurationError(
                f"{where}: it takes {len(parameters)} parameters, but one is needed, the exception"
            )
        hint = hint_of_first_parameter(method, skip_self=False)
        if hint is None:
            raise ConfigurationError(
                f"{where}: the annotation of {parameters[0].name!r} is missing or cannot be resolved; "
                "annotate it with an exception class that is defined at module level"
            )
        kinds = typing.cast("tuple[type[BaseException], ...]", union_members(hint))
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            raise ConfigurationError(f"{where}: {hint!r} is no exception class")
        return kinds

    def __repr__(self) -> str:
        return f"<ExceptionManager for {', '.join(kind.__name__ for kind, _ in self._handlers) or 'nothing'}>"


def _call(exception: BaseException, handlers: tuple[Handler, ...]) -> BaseException:
    if not handlers:
        return exception
    token = _CONTEXT.set((exception, handlers[1:]))
    try:
        result = handlers[0](exception)
    finally:
        _CONTEXT.reset(token)
    return result if isinstance(result, BaseException) else exception
