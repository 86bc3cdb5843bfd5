"""Logs: one line per event on standard error, as JSON or as text for people.

Modules log through ``structlog.get_logger(__name__)`` or the standard ``logging``; both come out alike, carry the id
of the request or job they belong to, and never a secret that we can recognise.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from portal.core.context import request_id

MASK = "***"
#: Loggers of servers and libraries that bring handlers of their own; theirs are taken away, the root's serves all.
_WITH_OWN_HANDLERS = (
    "django",
    "django.server",
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "gunicorn.error",
    "celery",
)
#: The request line of RequestMiddleware and the log of jobs say what these say, with more. The last one warns that
#: the embedded broker, a folder, has no host name.
_QUIETER = {
    "uvicorn.access": logging.WARNING,
    "celery.worker.strategy": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    "kombu.connection": logging.ERROR,
    "httpx": logging.WARNING,  # a line for every request, with whatever secret is in its address
    "django.request": logging.ERROR,
    "django.server": logging.WARNING,
}

_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|token(?!s?_?(count|id|name)s?$)|authorization|cookie|api_?key|private_?key|credential|"
    r"session_?key|signature",
    re.IGNORECASE,
)
# One pattern, so that a value without a secret costs one search. What is kept is in the named group.
_SECRET_VALUE = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"
    r"|(?P<url>://)[^\s/?#@\"']+@"
    r"|(?P<query>[?&](?:access_token|token|api_?key|key|secret|password|sig|signature|code)=)[^&\s\"']+"
    r"|\b(?:ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[abprs]|cb)[_-][A-Za-z0-9_-]{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.IGNORECASE | re.DOTALL,
)


class Handler(logging.StreamHandler[TextIO]):
    """Ours on the root logger, so that configuring again replaces it and leaves those of tests and tools alone.

    Writes to whatever standard error is at that moment; test runners exchange it.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # the base class keeps it as an attribute
        return sys.stderr


def configure(config: dict[str, Any]) -> None:
    """Sets up logging for the process; Django calls it through ``LOGGING_CONFIG`` with ``settings.LOGGING``.

    Args:
        config: ``format`` is ``json`` or ``text``, ``level`` a level name for everything, ``loggers`` an optional
            mapping of logger name to level name.

    Raises:
        ValueError: an unknown format or level.
    """
    if config["format"] not in ("json", "text"):
        raise ValueError(f"CALLBOARD_LOG_FORMAT is {config['format']!r}; use json or text.")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_request_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_last(config["format"]))
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(str(config["level"]).upper())
    for name in _WITH_OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name, quiet in _QUIETER.items():
        logging.getLogger(name).setLevel(quiet)
    for name, level in config.get("loggers", {}).items():
        logging.getLogger(name).setLevel(str(level).upper())
    logging.captureWarnings(True)
    global _write_fast
    _write_fast = config["format"] == "json"


def bind(**values: Any) -> None:
    """Adds keys (``user``, ``job``, ``sync``) to every later line of this request or job."""
    structlog.contextvars.bind_contextvars(**values)


def add_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Puts the id of the request or job on the line, where there is one."""
    if current := request_id.get():
        event["request_id"] = current
    return event


def mask_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replaces what looks like a secret, by its key or by its form, at any depth."""
    for key, value in event.items():
        event[key] = _masked(key, value)
    return event


def _masked(key: Any, value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        if isinstance(key, str) and value and _SECRET_KEY.search(key):
            return MASK
        return masked(value)
    if isinstance(value, dict) and depth < 8:
        return {k: _masked(k, v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple) and depth < 8:
        return [_masked(key, v, depth + 1) for v in value]
    if value is None or isinstance(value, int | float):
        return value
    return masked(str(value))


def masked(text: str) -> str:
    """``text`` without bearer tokens, passwords in addresses, private keys and tokens of known forms."""
    return _SECRET_VALUE.sub(
        lambda found: (
            (found["scheme"] or found["url"] or found["query"] or "") + MASK + ("@" if found["url"] else "")
        ),
        text,
    )


def _last(form: str) -> list[Processor]:
    """What happens to a line at the very end: traceback to text, secrets out, one string."""
    remove = cast("Processor", structlog.stdlib.ProcessorFormatter.remove_processors_meta)
    if form == "json":
        return [remove, structlog.processors.format_exc_info, mask_secrets, _json]
    return [
        remove,
        structlog.processors.format_exc_info,
        mask_secrets,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
            timestamp_key="time",
            pad_event_to=0,
        ),
    ]


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


_requests = logging.getLogger("portal.request")
_request_lines = structlog.get_logger("portal.request")
_write_fast = False


def request_line(values: dict[str, Any]) -> None:
    """Writes the line of one request; logger ``portal.request``, level INFO.

    As JSON it is put together here: through the machinery of logging it would cost as much as a simple answer
    (measured: 120 us, here 4 us).

    Args:
        values: keys of the line, without secrets.
    """
    if not _requests.isEnabledFor(logging.INFO):
        return
    if not _write_fast:
        _request_lines.info("request", **values)
        return
    line = {
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "level": "info",
        "logger": "portal.request",
        "event": "request",
        "request_id": request_id.get(),
        **values,
    }
    sys.stderr.write(orjson.dumps(line).decode() + "\n")
