"""What travels with one piece of work, from the request that started it into jobs and outgoing calls."""

from __future__ import annotations

from contextvars import ContextVar

#: The id of the request (or of the job it started) that is being served; empty outside of both.
request_id: ContextVar[str] = ContextVar("request_id", default="")
#: The network address the request came from; empty outside of a request.
address: ContextVar[str] = ContextVar("address", default="")
