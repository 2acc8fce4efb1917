"""Logging: on standard error, as text for people or as JSON for collectors."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from agentapi.model.encoding import rfc3339


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        line = f"{time} {record.levelname.lower():7} {record.getMessage()}"
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry)


INTERVAL = 60.0
"""Seconds between two records of a condition that may occur a thousand times a second: those logged
with `extra={"seldom": True}`."""
_LIBRARIES = ("asyncio", "aiohttp")
"""Libraries whose records, which may have a traceback each, are limited, too."""
_MAX_KINDS = 1000


class RateLimit(logging.Filter):
    """Passes one record of a kind in `INTERVAL` seconds; the next one counts those dropped.

    A kind is a logger, a message format, and the origin of the exception."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record."""
        if record.name.partition(".")[0] not in _LIBRARIES and not hasattr(record, "seldom"):
            return True
        kind = (record.name, str(record.msg).partition("\n")[0], *_origin(record))
        since, dropped = self._kinds.get(kind, (float("-inf"), 0))
        if record.created - since < INTERVAL:
            self._kinds[kind] = (since, dropped + 1)
            return False
        if len(self._kinds) >= _MAX_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (record.created, 0)
        if dropped:
            text = f"{record.getMessage()} ({dropped} more were not logged)"
            record.msg, record.args = text, None
        return True


def _origin(record: logging.LogRecord) -> tuple[object, ...]:
    """Return the type and the origin of the exception, if there is one."""
    if not record.exc_info or record.exc_info[1] is None:
        return ()
    trace = record.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    location = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else ()
    return record.exc_info[0], *location


def configure(level: str, style: str) -> None:
    """Log `level` and above; `style` is `text` or `json` (one object a line)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("agentapi").setLevel(level.upper())
