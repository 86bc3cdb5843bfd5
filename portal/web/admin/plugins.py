"""Installed plugins, what each of them adds, and the switches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from portal.access.viewer import CURATE, Viewer
from portal.audit.services import record
from portal.core.errors import CallboardError
from portal.plugins.models import ExtensionState
from portal.plugins.points import Extension, HealthCheck
from portal.plugins.producing import produce
from portal.plugins.registry import LoadedPlugin, registry
from portal.plugins.services import switch_extension

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite

HEALTH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """An extension with its switch."""

    extension: Extension
    on: bool
    changed: ExtensionState | None


@dataclass(frozen=True, slots=True)
class Section:
    """A plugin with what it adds."""

    plugin: LoadedPlugin
    on: bool
    changed: ExtensionState | None
    rows: list[Row]


def sections() -> list[Section]:
    """Every installed plugin, the broken ones first. One statement."""
    states = {row.key: row for row in ExtensionState.objects.unrestricted("the switches hold for everybody")}

    def on(key: str) -> bool:
        return key not in states or states[key].enabled

    found = [
        Section(
            plugin,
            on(plugin.switch),
            states.get(plugin.switch),
            [
                Row(extension, on(extension.full_key), states.get(extension.full_key))
                for extension in ([] if plugin.error else registry.of_plugin(plugin.entry))
            ],
        )
        for plugin in registry.plugins
    ]
    return sorted(found, key=lambda section: (not section.plugin.error, section.plugin.name))


def unwell() -> dict[str, str]:
    """What the health checks of plugins complain about, by the key of the check. Each has a second to answer."""
    found = {}
    for check in registry.active(HealthCheck):
        limited = replace(check, deadline=check.deadline or HEALTH_SECONDS)
        made = produce(limited, lambda check=check: {"said": check.check()})  # type: ignore[misc]  # a default binds
        said = made.problem or str((made.value or {}).get("said") or "")
        if said:
            found[check.full_key] = said[:300]
    return found


@transaction.atomic
def flip(*, viewer: Viewer, key: str, enabled: bool) -> None:
    """Set a switch and record it.

    Raises:
        NotFoundError: nothing of that name is registered.
    """
    state = switch_extension(actor=viewer.actor, key=key, enabled=enabled)
    verb = f"plugins.switch.{'on' if enabled else 'off'}"
    record(
        actor=viewer.actor,
        verb=verb,
        target=state,
        object_id=key,
        object_name=key,
        after={"enabled": enabled},
    )


def plugins_page(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """``GET`` shows, ``POST`` with ``key`` and ``enabled`` (1 or 0) switches."""
    viewer: Viewer = request.viewer  # type: ignore[attr-defined]  # set by AccessMiddleware
    if request.method == "POST":
        if not viewer.allows(CURATE):
            raise PermissionDenied
        key, enabled = request.POST.get("key", ""), request.POST.get("enabled") == "1"
        try:
            flip(viewer=viewer, key=key, enabled=enabled)
        except CallboardError as error:
            messages.error(request, error.message)
        else:
            messages.success(
                request, f"{key} is {'on' if enabled else 'off'}, in every process within a second."
            )
        return HttpResponseRedirect(reverse("admin:plugins"))
    context = {**site.each_context(request), "title": "Plugins", "sections": sections(), "unwell": unwell()}
    request.current_app = site.name
    return TemplateResponse(request, "admin/plugins.html", context)
