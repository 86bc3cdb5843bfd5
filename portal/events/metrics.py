"""What the outbox and the webhooks count."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

WRITTEN = Counter("callboard_events_written", "Events that were committed, by type.", ["type"])
SEAL_LAG = Histogram(
    "callboard_event_seal_lag_seconds",
    "Time from writing an event to its being visible, of the oldest event of each sealing.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)
FORGOTTEN = Counter("callboard_events_forgotten", "Events that were deleted after the time they are kept.")
DELIVERIES = Counter(
    "callboard_webhook_deliveries", "Attempts to deliver an event by webhook, by outcome.", ["outcome"]
)
DELIVERY_SECONDS = Histogram(
    "callboard_webhook_seconds",
    "Time that receivers of webhooks took to answer.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SWITCHED_OFF = Counter(
    "callboard_webhooks_switched_off", "Webhooks that were switched off because they failed."
)
STREAMS = Gauge("callboard_event_streams", "Event streams that are open.", multiprocess_mode="livesum")
STREAMS_REFUSED = Counter(
    "callboard_event_streams_refused", "Event streams that were refused as one too many."
)
