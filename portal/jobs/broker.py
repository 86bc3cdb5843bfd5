"""The embedded broker: messages are files in a folder. kombu's own transport with two defects mended.

A message appears in the folder complete or not at all. kombu creates the file first and fills it then; a worker that
looks in between reads nothing, fails to parse it and ends. And a file that is no message is thrown away, for the same
reason: a doorbell that is lost is rung again (portal.jobs.services.sweep), a worker that ends helps nobody.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

import structlog
from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps

log = structlog.get_logger(__name__)


class Channel(filesystem.Channel):
    """A connection to the folder."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # as kombu declares it
        """Put a message, under kombu's own form of name: time, id, queue."""
        folder = Path(self.data_folder_out)
        name = uuid.uuid4()
        draft = folder / f".{name}.draft"  # what does not end in the queue's name is no message
        try:
            draft.write_text(dumps(payload))
            draft.replace(folder / f"{monotonic() * 1000:.0f}_{name}.{queue}.msg")
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise ChannelError(f"Cannot add a message to {folder}: {error.strerror}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        try:
            return super()._get(queue)
        except ValueError as error:
            log.warning("message_unreadable", queue=queue, error=str(error))
            raise Empty from error


class Transport(filesystem.Transport):
    """For ``CELERY_BROKER_TRANSPORT``."""

    Channel = Channel
