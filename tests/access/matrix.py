"""Every address of Callboard, and what somebody gets there who is nobody, a member, or a curator.

A new address needs an entry here; tests/access/test_walk.py says which is missing. Pages of the admin need one only
when they are of a new sort: ``ADMIN_PAGES`` lists the sorts, and every registered model is walked through all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

SIGN_IN = 302
PEOPLE = ("anonymous", "member", "staff")


@dataclass(frozen=True)
class Entry:
    """One request to one address.

    Attributes:
        route: as the resolver has it.
        path: an address of that route; ``{source}`` and the like are keys of the test's world.
        anonymous, member, staff: the status that each gets.
        data: body of the request; JSON for addresses below /api/.
    """

    route: str
    path: str
    anonymous: int
    member: int
    staff: int
    method: str = "GET"
    data: Any = field(default=None, compare=False, hash=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def page(route: str, path: str = "", *, member: int = 200, staff: int = 0, method: str = "GET") -> Entry:
    """A page that asks for sign-in."""
    return Entry(route, f"/{path or route}", SIGN_IN, member, staff or member, method)


def public(
    route: str, path: str = "", *, status: int = 200, signed_in: int = 0, method: str = "GET"
) -> Entry:
    """A page that has to be there before anybody has signed in; most of them send people on who have."""
    return Entry(route, f"/{path or route}", status, signed_in or status, signed_in or status, method)


def operation(
    route: str, path: str = "", *, member: int = 200, staff: int = 0, method: str = "GET", data: Any = None
) -> Entry:
    """An operation of the API: 401 for nobody."""
    return Entry(f"api/{route}", f"/api/{path or route}", 401, member, staff or member, method, data)


def written_operations() -> Iterator[Entry]:
    """Our own paths of one entity. A source declares the shop, so a curator is told to change it there."""
    route, path = f"catalog/v1/entities/{NAMED}", "catalog/v1/entities/component/default/shop"
    yield operation(route, path)
    for method in ("PUT", "PATCH", "DELETE"):
        yield operation(route, path, member=403, staff=409, method=method, data={})
    yield operation(f"{route}/rename", f"{path}/rename", member=403, staff=409, method="POST", data={})
    yield operation(f"{route}/restore", f"{path}/restore", member=403, staff=404, method="POST", data={})
    revision = f"{route}/revisions/<int:number>/restore"
    yield operation(revision, f"{path}/revisions/7/restore", member=403, staff=409, method="POST", data={})
    yield operation("catalog/v1/bulk", member=403, staff=200)
    yield operation("catalog/v1/bulk", member=403, staff=400, method="POST", data={})
    yield operation("catalog/v1/bulk/<str:id>", "catalog/v1/bulk/nothing", member=403, staff=404)
    undo = "catalog/v1/bulk/<str:id>/undo"
    yield operation(undo, "catalog/v1/bulk/nothing/undo", member=403, staff=404, method="POST", data={})


ENTITY = "default/component/shop"
PLACED = "<str:namespace>/<str:kind>/<str:name>"
UNDO = "catalog/operations/<uuid:key>/undo/"
UID = "catalog/entities/by-uid/"
INBOUND = "catalog/v1/inbound-hooks/"
HOOKS = "events/v1/subscriptions"
HOOK = f"{HOOKS}/<uuid:key>"
LETTER = f"{HOOK}/deliveries/<int:number>"
AGAIN = "catalog/versions/<uuid:uid>/<int:number>/restore/"
NAMED = "<str:kind>/<str:namespace>/<str:name>"
OWN = f"catalog/v1/entities/{NAMED}"
OWN_ENTITY = "catalog/v1/entities/component/default/shop"

ENTRIES: tuple[Entry, ...] = (
    # --- the shell
    page("", "/".strip("/")),
    page("account/"),
    page("account/sessions/end-others/", member=405),
    page("account/sessions/end-others/", member=302, method="POST"),
    page("account/sessions/<int:key>/end/", "account/sessions/0/end/", member=405),
    page("account/sessions/<int:key>/end/", "account/sessions/0/end/", member=404, method="POST"),
    page("settings/appearance/", member=405),
    page("settings/appearance/", member=400, method="POST"),
    public("health/live"),
    public("health/ready"),
    public("metrics", status=401),
    # --- signing in
    public("accounts/login/", signed_in=302),
    public("accounts/logout/", status=302, signed_in=200),
    public("accounts/inactive/"),
    public("accounts/signup/", status=200, signed_in=302),
    page("accounts/reauthenticate/"),
    page("accounts/email/"),
    public("accounts/confirm-email/"),
    public("accounts/^confirm-email/(?P<key>[-:\\w]+)/$", "accounts/confirm-email/nothing/"),
    page("accounts/password/change/"),
    page("accounts/password/set/", member=302),
    public("accounts/password/reset/"),
    public("accounts/login/code/confirm/", status=302),
    public("accounts/password/reset/key/done/"),
    public("accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$", "accounts/password/reset/key/1-x/"),
    public("accounts/password/reset/done/"),
    # --- the catalog
    page("catalog/"),
    page("catalog/", "catalog/?kind=component&owner=group:default/shop-team&q=shop"),
    page("catalog/apis/", member=302),  # leads to the list of APIs
    Entry("catalog/feed.atom", "/catalog/feed.atom", 401, 200, 200),
    page("catalog/preview/", member=403, staff=200),
    page("catalog/preview/", member=403, staff=400, method="POST"),
    page("catalog/problems/"),
    page("catalog/health/"),
    page("catalog/conflicts/"),
    page("catalog/references/"),
    page("catalog/references/", "catalog/references/?to=group:default/nobody"),
    page("catalog/sources/"),
    page("catalog/sources/<uuid:key>/", "catalog/sources/{source}/"),
    page("catalog/sources/<uuid:key>/held/", "catalog/sources/{source}/held/"),
    page(
        "catalog/sources/<uuid:key>/held/",
        "catalog/sources/{source}/held/",
        member=403,
        staff=400,
        method="POST",
    ),
    page("catalog/removed/<int:key>/restore/", "catalog/removed/0/restore/", member=405),
    page("catalog/removed/<int:key>/restore/", "catalog/removed/0/restore/", member=403, staff=404, method="POST"),
    page("catalog/sources/<uuid:key>/progress/", "catalog/sources/{source}/progress/"),
    page("catalog/sources/<uuid:key>/sync/", "catalog/sources/{source}/sync/", member=405),
    page("catalog/sources/<uuid:key>/sync/", "catalog/sources/{source}/sync/", member=403, staff=302, method="POST"),
    page("catalog/versions/<uuid:uid>/", "catalog/versions/{uid}/"),
    page(AGAIN, "catalog/versions/{uid}/1/restore/", member=405),
    page(AGAIN, "catalog/versions/{uid}/1/restore/", member=403, staff=409, method="POST"),
    page("catalog/hooks/", member=403, staff=200),
    page("catalog/hooks/<uuid:key>/", "catalog/hooks/{hook}/", member=403, staff=200),
    page("catalog/hooks/deliveries/<int:key>/replay/", "catalog/hooks/deliveries/0/replay/", member=405),
    page("catalog/hooks/deliveries/<int:key>/replay/", "catalog/hooks/deliveries/0/replay/", member=403, staff=404,
         method="POST"),
    page("catalog/act/", "catalog/act/?kind=component", member=403, staff=200),
    page("catalog/act/", "catalog/act/?kind=component&do=delete", member=403, staff=200),
    page("catalog/act/", "catalog/act/?kind=component&do=delete", member=403, staff=302, method="POST"),
    page("catalog/operations/", member=403, staff=200),
    page("catalog/operations/<uuid:key>/", "catalog/operations/{operation}/", member=403, staff=200),
    page("catalog/operations/<uuid:key>/progress/", "catalog/operations/{operation}/progress/", member=403, staff=200),
    page(UNDO, "catalog/operations/{operation}/undo/", member=405),
    page(UNDO, "catalog/operations/{operation}/undo/", member=403, staff=302, method="POST"),
    page("catalog/by-ref/<path:ref>", "catalog/by-ref/component:default/shop", member=302),
    page(f"catalog/{PLACED}/", f"catalog/{ENTITY}/"),
    page(f"catalog/{PLACED}/", "catalog/default/component/nobody/", member=404),
    page(f"catalog/{PLACED}/refresh/", f"catalog/{ENTITY}/refresh/", member=405),
    # The member's group owns it.
    page(f"catalog/{PLACED}/refresh/", f"catalog/{ENTITY}/refresh/", member=302, staff=302, method="POST"),
    page(f"catalog/{PLACED}/definition.txt", f"catalog/{ENTITY}/definition.txt", member=404),
    page(f"catalog/{PLACED}/<slug:tab>/", f"catalog/{ENTITY}/relations/"),
    page(f"catalog/{PLACED}/<slug:tab>/", f"catalog/{ENTITY}/raw/"),
    page(f"catalog/{PLACED}/<slug:tab>/", f"catalog/{ENTITY}/history/"),
    page("catalog/", "catalog/?at=2020-01-01"),
    page(f"catalog/{PLACED}/", f"catalog/{ENTITY}/?at=2020-01-01", member=404),
    # --- jobs
    page("jobs/<uuid:key>/", "jobs/{job}/", member=404, staff=200),
    page("jobs/<uuid:key>/state/", "jobs/{job}/state/", member=404, staff=200),
    page("jobs/<uuid:key>/cancel/", "jobs/{job}/cancel/", member=405),
    page("jobs/<uuid:key>/cancel/", "jobs/{job}/cancel/", member=403, staff=302, method="POST"),
    # --- the API
    page("api/docs/"),
    operation("catalog/v1/health-report"),
    operation("catalog/v1/conflicts"),
    operation("catalog/v1/references"),
    operation("catalog/v1/references/pointers", "catalog/v1/references/pointers?ref=group:default/nobody"),
    operation(f"catalog/v1/entities/{NAMED}/freshness", "catalog/v1/entities/component/default/shop/freshness"),
    operation("catalog/entities"),
    operation("catalog/entities/by-query"),
    operation("catalog/entities/by-query", method="POST", data={}),
    operation("catalog/entities/by-refs", method="POST", data={"entityRefs": ["component:default/shop"]}),
    operation("catalog/entity-facets", "catalog/entity-facets?facet=kind"),
    operation("catalog/entity-facets", method="POST", data={"facets": ["kind"]}),
    operation(f"catalog/entities/by-name/{NAMED}", "catalog/entities/by-name/component/default/shop"),
    operation(f"catalog/entities/by-name/{NAMED}/ancestry", "catalog/entities/by-name/component/default/shop/ancestry"),
    operation(f"{UID}<str:uid>", f"{UID}{{uid}}"),
    operation(f"{UID}<str:uid>", f"{UID}{{uid}}", member=204, staff=204, method="DELETE"),
    operation(f"{OWN}/revisions", f"{OWN_ENTITY}/revisions"),
    operation(f"{OWN}/revisions/<int:number>", f"{OWN_ENTITY}/revisions/1"),
    operation(f"{OWN}/revisions/<int:number>/diff", f"{OWN_ENTITY}/revisions/1/diff"),
    operation(f"{OWN}/at", f"{OWN_ENTITY}/at?time=2020-01-01", member=404),
    operation("catalog/locations"),
    operation("catalog/locations", member=403, staff=400, method="POST", data={}),
    operation("catalog/locations/by-query", method="POST", data={}),
    operation(f"catalog/locations/by-entity/{NAMED}", "catalog/locations/by-entity/location/default/x", member=404),
    operation("catalog/locations/<str:id>", "catalog/locations/{source}"),
    operation("catalog/locations/<str:id>", "catalog/locations/{source}", member=403, staff=400, method="PUT", data={}),
    operation("catalog/locations/<str:id>", "catalog/locations/{source}", member=403, staff=204, method="DELETE"),
    operation("catalog/refresh", member=400, staff=400, method="POST", data={}),
    operation("catalog/validate-entity", member=403, staff=400, method="POST", data={}),
    operation("catalog/analyze-location", member=403, staff=400, method="POST", data={}),
    operation("catalog/openapi.json"),
    operation("catalog/v1/sources/<uuid:id>/remote-report", "catalog/v1/sources/{source}/remote-report", member=404),
    operation("catalog/v1/entities", "catalog/v1/entities?kind=component&sort=-updated"),
    operation("catalog/v1/entities", "catalog/v1/entities?format=csv"),
    operation("catalog/v1/entities", "catalog/v1/entities?format=yaml"),
    operation("catalog/v1/preview", member=403, staff=400, method="POST", data={}),
    *written_operations(),
    operation("catalog/^(?P<rest>.*)$", "catalog/nothing/here", member=404),
    operation("catalog/v1/refresh", member=400, staff=400, method="POST", data={}),
    operation("catalog/v1/hooks/<uuid:id>", "catalog/v1/hooks/{hook}", member=401, method="POST", data={}),
    operation("catalog/v1/inbound-hooks", member=403, staff=200),
    operation("catalog/v1/inbound-hooks", member=403, staff=400, method="POST", data={}),
    operation(f"{INBOUND}<uuid:id>", f"{INBOUND}{{hook}}", member=403, staff=200),
    operation(f"{INBOUND}<uuid:id>", f"{INBOUND}{{hook}}", member=403, staff=200, method="PATCH", data={}),
    operation(f"{INBOUND}<uuid:id>", f"{INBOUND}{{hook}}", member=403, staff=204, method="DELETE"),
    operation(f"{INBOUND}<uuid:id>/secret", f"{INBOUND}{{hook}}/secret", member=403, staff=200, method="POST", data={}),
    operation(f"{INBOUND}<uuid:id>/deliveries", f"{INBOUND}{{hook}}/deliveries", member=403, staff=200),
    operation("catalog/v1/hook-deliveries/<int:id>/replay", "catalog/v1/hook-deliveries/0/replay", member=403,
              staff=404, method="POST"),
    operation("jobs/v1/jobs"),
    operation("jobs/v1/jobs/<uuid:id>", "jobs/v1/jobs/{job}", member=404, staff=200),
    operation("jobs/v1/jobs/<uuid:id>/cancel", "jobs/v1/jobs/{job}/cancel", member=403, staff=409, method="POST"),
    # --- the audit record
    operation("audit/v1/events", "audit/v1/events?verb=catalog.*&limit=5", member=403, staff=200),
    operation("audit/v1/export", member=403, staff=200),
    # --- the change feed and webhooks
    operation("events/v1/events", "events/v1/events?type=catalog.*&limit=5"),
    operation("events/v1/stream", member=503),  # only the event process keeps answers open
    operation(HOOKS),
    operation(HOOKS, member=403, staff=400, method="POST", data={}),
    operation(HOOK, HOOKS + "/{subscription}", member=404, staff=200),
    operation(HOOK, HOOKS + "/{subscription}", member=403, staff=400, method="PATCH", data={"nothing": 1}),
    operation(HOOK, HOOKS + "/{subscription}", member=403, staff=204, method="DELETE"),
    operation(f"{HOOK}/ping", HOOKS + "/{subscription}/ping", member=403, staff=200, method="POST"),
    operation(f"{HOOK}/secret", HOOKS + "/{subscription}/secret", member=403, staff=200, method="POST"),
    operation(f"{HOOK}/deliveries", HOOKS + "/{subscription}/deliveries?state=dead", member=404, staff=200),
    operation(f"{HOOK}/redeliver", HOOKS + "/{subscription}/redeliver", member=403, staff=202, method="POST"),
    operation(LETTER, HOOKS + "/{subscription}/deliveries/{letter}", member=403, staff=204, method="DELETE"),
    operation(
        f"{LETTER}/redeliver", HOOKS + "/{subscription}/deliveries/{letter}/redeliver", member=403, staff=202,
        method="POST",
    ),
    operation("schema/"),
)  # fmt: skip

OPERATIONS = tuple(entry for entry in ENTRIES if entry.route.startswith("api/") and entry.anonymous == 401)

#: Sorts of pages of the admin: what a curator may get there. Nobody is sent to sign in, a member is kept out.
ADMIN_PAGES: dict[str, frozenset[int]] = {
    "": frozenset({200}),
    "add/": frozenset({200, 403}),
    "<path:object_id>/change/": frozenset({200}),
    "<path:object_id>/history/": frozenset({200}),
    "<path:object_id>/delete/": frozenset({200, 403}),
    "<path:object_id>/": frozenset({302}),  # leads to the change page
    "export/": frozenset({200}),
    "import/": frozenset({200}),
    "process_import/": frozenset({405}),
    # actions on one object: a dialog that asks
    "<path:object_id>/new-password/": frozenset({200}),
    "<path:object_id>/sign-out/": frozenset({200}),
    "<path:object_id>/revoke/": frozenset({200}),
    "<path:object_id>/cancel/": frozenset({200}),
    "<path:object_id>/check-now/": frozenset({200}),
    "<path:object_id>/sync-now/": frozenset({200}),
    "<path:object_id>/send-test/": frozenset({200}),
    "<path:object_id>/redeliver-dead/": frozenset({200}),
    "<path:object_id>/new-secret/": frozenset({200}),
    "<path:object_id>/turn-on/": frozenset({200}),
    "<path:object_id>/turn-off/": frozenset({200}),
    "<path:object_id>/send-again/": frozenset({200}),
    "<path:object_id>/drop-letter/": frozenset({200}),
    "<path:object_id>/restore/": frozenset({200}),
    "<path:object_id>/replay/": frozenset({200}),
    "<path:object_id>/undo/": frozenset({200}),
}
#: Pages of the admin that are of no model, with an address and what a curator gets.
ADMIN_SITE: dict[str, tuple[str, int]] = {
    "admin/": ("/admin/", 200),
    "admin/search/": ("/admin/search/?s=shop", 200),
    "admin/plugins/": ("/admin/plugins/", 200),
    "admin/login/": ("/admin/login/", 302),
    "admin/logout/": ("/admin/logout/", 405),
    "admin/password_change/": ("/admin/password_change/", 302),
    "admin/password_change/done/": ("/admin/password_change/done/", 302),
    "admin/autocomplete/": (
        "/admin/autocomplete/?app_label=access&model_name=membership&field_name=group&term=s",
        200,
    ),
    "admin/jsi18n/": ("/admin/jsi18n/", 200),
    "admin/r/<path:content_type_id>/<path:object_id>/": ("/admin/r/1/1/", 404),
    "admin/(?P<url>.*)$": ("/admin/nothing/here/", 404),
}
#: The page of one app, whose route lists them all.
ADMIN_APP = "admin/^(?P<app_label>"


def routes() -> Iterator[tuple[str, Any]]:
    """Every route of the resolver with its view."""

    def walk(patterns: list[Any], before: str) -> Iterator[tuple[str, Any]]:
        for pattern in patterns:
            route = before + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, route)
            elif isinstance(pattern, URLPattern):
                yield route, pattern.callback

    yield from walk(get_resolver().url_patterns, "")


def body_of(entry: Entry) -> dict[str, Any]:
    """Arguments for Django's test client."""
    if entry.path.startswith("/api/") and entry.method != "GET":
        return {"data": json.dumps(entry.data), "content_type": "application/json"}
    return {} if entry.data is None else {"data": entry.data}
