"""Cursors of the change feed: a position in an envelope.

Positions count every event, also those that a viewer may not see. So they leave the house sealed, each time in another
envelope: nobody learns from two cursors how much went on between them.
"""

from __future__ import annotations

from portal.core.crypto import DecryptionError, KeyringError, decrypt, encrypt
from portal.core.errors import InputError
from portal.core.paging import malformed_cursor

NOW = "now"
_CONTEXT = "events.cursor"
_LONGEST = 300


def seal_cursor(position: int) -> str:
    """The cursor that goes on after ``position``. Safe in an address as it is."""
    return encrypt(str(position).encode(), context=_CONTEXT).rstrip("=")


def open_cursor(text: str) -> int:
    """The position in a cursor.

    Raises:
        InputError: ``cursor.malformed``, or ``events.cursor.key`` where the key that sealed it was taken away.
    """
    if len(text) > _LONGEST:
        raise malformed_cursor()
    body = text.strip().rpartition(":")[2]
    try:
        return int(decrypt(text.strip() + "=" * (-len(body) % 4), context=_CONTEXT))
    except KeyringError:
        raise InputError(
            "This cursor was sealed with a key that is not in CALLBOARD_KEYS any more.",
            code="events.cursor.key",
            remedy="Begin again without a cursor, or add the old key after the current one.",
        ) from None
    except (DecryptionError, ValueError):
        raise malformed_cursor() from None
