"""Make the empty database of a conformance run what the kit asks for, and print tokens as one line of JSON."""

from __future__ import annotations

import json

import django
from django.core.management import call_command

KINDS = ("API", "Component", "Domain", "Group", "Location", "Resource", "System", "Template", "User")
PLAIN, GITEA = "127.0.0.1:7390", "127.0.0.1:7391"


def main() -> None:
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    print(json.dumps(prepare()))


def prepare() -> dict[str, str]:
    """Allow the kinds and hosts of the kit; returns the tokens of a service and of ``user:default/kit-user``."""
    from catalog.services.kinds import allow_kinds, switch_kind_version
    from portal.access.models import Principal
    from portal.access.services import create_token, create_user
    from portal.access.viewer import Viewer
    from portal.connections.models import Connection

    system = Viewer.system("conformance")
    allow_kinds(actor=system, kinds=KINDS, allowed=True)
    # The recorded backend had no model source, so it refused APIs of this type for lacking a definition.
    switch_kind_version(actor=system, kind="API", spec_type="mcp-server", enabled=False)
    for name, kind, host in (("kit-files", "plain", PLAIN), ("kit-git", "gitea", GITEA)):
        Connection.objects.create(
            name=name, kind=kind, host=host, base_url=f"http://{host}", allow_private=True, purposes=["read"],
            read_over=Connection.ReadOver.API,
        )  # fmt: skip
    service = create_user(actor=system, username="kit-service", is_staff=True)
    person = create_user(actor=system, username="kit-user", is_staff=True)
    Principal.objects.create(
        kind=Principal.Kind.USER, ref="user:default/kit-user", user=person, source="conformance"
    )
    return {
        "service": create_token(actor=system, user=service, name="conformance")[1],
        "user": create_token(actor=system, user=person, name="conformance")[1],
    }


if __name__ == "__main__":
    main()
