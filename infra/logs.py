"""Logs: one line an entry on stderr, JSON for machines or colours for people, never a secret.

structlog and the standard library's logging (granian, apscheduler, psycopg) go through the same
processors, so every line has the same fields: event, level, logger, timestamp, pid, and whatever
is bound to the request (request_id). Nothing is configured at import.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import Any, Protocol, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from domain.secret_values import FILTERED, filter_bearers, filter_url_passwords

_LOUD = {
    # Every job's run is an INFO there, and granian greets; our own lines say what matters.
    "apscheduler": logging.WARNING,
    "psycopg": logging.WARNING,
    "_granian": logging.ERROR,
    "asyncio": logging.WARNING,
}
_SECRET_NAME = re.compile(r"passw|secret|token|authori[sz]ation|cookie|api_?key|private_key")
_KEY = re.compile(r"\b(sk_live|ei)_[A-Za-z0-9_-]{20,}")
_ALWAYS_OPEN = frozenset({"event", "timestamp", "level", "logger"})


class LogSettings(Protocol):
    """What logging needs to know."""

    @property
    def production(self) -> bool:
        """Whether this is ENVIRONMENT=production."""
        ...

    @property
    def log_format(self) -> str:
        """ "json", "console", or "auto": console on a terminal outside production, else json."""
        ...

    @property
    def log_level(self) -> str:
        """ "debug", "info", "warning" or "error"."""
        ...


def configure_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send all logging of this process to `stream` (stderr).

    A later call replaces the first, except for the level of loggers that were used in between.
    """
    target = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_last_steps(settings, terminal=target.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, at_least in _LOUD.items():
        logging.getLogger(name).setLevel(max(at_least, level))
    structlog.configure(
        processors=[*shared[:-1], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        # Lines below the level cost nothing: the API writes one at debug for every request.
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _last_steps(settings: LogSettings, *, terminal: bool) -> list[Processor]:
    readable = settings.log_format == "console" or (
        settings.log_format == "auto" and terminal and not settings.production
    )
    # Before the secrets are hidden: messages of exceptions are where drivers show them.
    common: list[Processor] = [structlog.processors.format_exc_info, hide_secrets]
    if not readable:
        return [_add_pid, *common, _render_json]
    renderer = structlog.dev.ConsoleRenderer(
        colors=terminal, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )
    return [*common, renderer]


def _add_pid(logger: WrappedLogger, name: str, entry: EventDict) -> EventDict:
    entry["pid"] = os.getpid()
    return entry


def _render_json(logger: WrappedLogger, name: str, entry: EventDict) -> str:
    return msgspec.json.encode(entry, enc_hook=repr).decode()


def hide_secrets(logger: WrappedLogger, name: str, entry: EventDict) -> EventDict:
    """A structlog processor: what names or shows a secret becomes "[Filtered]".

    Lines are written by our own code, so this is a net for mistakes and for what drivers put into
    their messages: values under telling names, keys, bearer tokens, and passwords in URLs.
    """
    for field, value in entry.items():
        if field not in _ALWAYS_OPEN and _SECRET_NAME.search(field.lower()):
            entry[field] = FILTERED
        elif isinstance(value, str):
            entry[field] = _hide_in_text(value)
    return entry


def _hide_in_text(text: str) -> str:
    shown = _KEY.sub(rf"\1_{FILTERED}", text)
    shown, _ = filter_url_passwords(shown)
    shown, _ = filter_bearers(shown)
    return shown


def granian_logging() -> dict[str, Any]:
    """For granian, which configures logging itself: leave its lines to the handler of ours."""
    return {"formatters": {}, "handlers": {}, "loggers": {"_granian": {"propagate": True}}}
