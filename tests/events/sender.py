"""A process that sends what a subscription has not got, over and over, until it is killed."""

from __future__ import annotations

import sys
import time

import django

django.setup()

from portal.events.services import deliver_due  # noqa: E402  (after setup)

while True:
    deliver_due(key=sys.argv[1])
    time.sleep(0.01)
