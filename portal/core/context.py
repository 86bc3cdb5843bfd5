"""What belongs to the request or job that is being served, readable from anywhere below it."""

from __future__ import annotations

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("callboard_request_id", default="")
address: ContextVar[str] = ContextVar("callboard_address", default="")
