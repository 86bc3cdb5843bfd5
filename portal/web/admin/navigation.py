"""The side of the admin: what is curated, where it comes from, what it was, who works with it, how it runs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

#: Group, then title, symbol and URL name of each entry.
ENTRIES: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    ("", (("What needs a person", "dashboard", "index"),)),
    (
        "Catalog",
        (
            ("Entities", "category", "catalog_entity_changelist"),
            ("Problems", "report", "catalog_problem_changelist"),
            ("Bulk operations", "checklist", "catalog_bulkoperation_changelist"),
            ("Kinds", "schema", "catalog_kind_changelist"),
            ("Annotations", "label", "catalog_annotationdefinition_changelist"),
            ("Tags", "sell", "catalog_tagdefinition_changelist"),
        ),
    ),
    (
        "Sources",
        (
            ("Sources", "source", "catalog_source_changelist"),
            ("Readings", "sync", "catalog_sync_changelist"),
            ("Webhooks in", "webhook", "catalog_hook_changelist"),
            ("Deliveries in", "move_to_inbox", "catalog_hookdelivery_changelist"),
        ),
    ),
    (
        "History",
        (
            ("Versions", "history", "catalog_revision_changelist"),
            ("Earlier names", "alt_route", "catalog_alias_changelist"),
            ("Held back", "front_hand", "catalog_quarantine_changelist"),
            ("Removed", "delete_history", "catalog_tombstone_changelist"),
        ),
    ),
    (
        "People and access",
        (
            ("People", "person", "access_user_changelist"),
            ("Identities", "badge", "access_principal_changelist"),
            ("Memberships", "group", "access_membership_changelist"),
            ("Rules", "gavel", "access_rule_changelist"),
            ("Sessions", "devices", "access_browsersession_changelist"),
            ("Tokens", "key", "access_token_changelist"),
        ),
    ),
    (
        "Operation",
        (
            ("Jobs", "work_history", "jobs_job_changelist"),
            ("Schedules", "schedule", "jobs_schedule_changelist"),
            ("Connections", "lan", "connections_connection_changelist"),
            ("Plugins", "extension", "plugins"),
            ("Events", "bolt", "events_event_changelist"),
            ("Webhooks out", "webhook", "events_subscription_changelist"),
            ("Deliveries out", "outbox", "events_delivery_changelist"),
            ("Audit", "policy", "audit_auditevent_changelist"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """For unfold (``UNFOLD["SIDEBAR"]["navigation"]``). No statement."""
    return [
        {
            "title": title,
            "separator": bool(title),
            "collapsible": False,
            "items": [
                {
                    "title": name,
                    "icon": icon,
                    "link": reverse(f"admin:{url}"),
                    "active": _is_current(request, reverse(f"admin:{url}")),
                }
                for name, icon, url in entries
            ],
        }
        for title, entries in ENTRIES
    ]


def _is_current(request: HttpRequest, url: str) -> bool:
    """unfold compares by substring, which would light up the dashboard everywhere."""
    return request.path == url if url == reverse("admin:index") else request.path.startswith(url)
