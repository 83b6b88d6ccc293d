"""Logs: one JSON object a line, with the ids that join them, and without secrets or addresses.

Every record passes here, also those of libraries.  A request's id, the listener it speaks for and a
task's id are bound to the context where they become known, and stand in every line below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

REMOVED = "[removed]"

# Keys whose values are never written, whatever they are.
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|authorization|cookie|api_?key|session_?key|csrf|otp|"
    r"e_?mail|recovery_?code",
    re.IGNORECASE,
)
_PATTERNS = (
    # What stands between a scheme and the host of a URL: user and password.
    (re.compile(r"(?<=://)[^\s/@]+@"), f"{REMOVED}@"),
    (re.compile(r"\b(Bearer|Basic|Token)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {REMOVED}"),
    (re.compile(r"\bm[rs]_[\w-]{16,}"), REMOVED),  # tokens of this API
    (
        re.compile(r"(?i)\b(password|secret|token|key|sessionid|code)=[^\s&\"']+"),
        rf"\1={REMOVED}",
    ),
    (re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)+"), "[e-mail]"),
)


def scrub(value: Any) -> Any:
    """Return `value` without secrets, tokens, credentials in URLs and addresses of mail."""
    if isinstance(value, str):
        for pattern, replacement in _PATTERNS:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {
            key: REMOVED if _SECRET_KEY.search(str(key)) else scrub(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [scrub(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return scrub(str(value))


def scrub_event(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Scrub a whole record; the last step before it is written."""
    scrubbed: EventDict = scrub(event)
    return scrubbed


def drop_request_started(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Drop the line before each request: the one after it says all of it and the outcome."""
    if event.get("event") == "request_started":
        raise structlog.DropEvent
    return event


_SHARED = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure() -> None:
    """Send what structlog is given through the standard library's handlers."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            drop_request_started,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logging_config(*, style: str, level: str) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes.

    Args:
        style: ``json`` for machines, ``plain`` for a terminal.
        level: of the root logger.

    Raises:
        ValueError: another style.
    """
    if style not in ("json", "plain"):
        raise ValueError(f"MUSICREC_LOG_FORMAT is {style!r}; it must be json or plain")
    renderer = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*_SHARED, structlog.stdlib.ExtraAdder()],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    # As text, so that what an exception quotes is scrubbed with the rest.
                    structlog.processors.format_exc_info,
                    scrub_event,
                    renderer,
                ],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
        # Who came in and who did not is written whatever the level is.
        "loggers": {"accounts.sign_in_log": {"level": "INFO"}},
        "root": {"handlers": ["console"], "level": level},
    }
