from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    name = "portal.connections"
    label = "connections"
    verbose_name = "Connections"

    def ready(self) -> None:
        from portal.access.querysets import set_policy, staff_only

        set_policy("connections.connection", staff_only)
