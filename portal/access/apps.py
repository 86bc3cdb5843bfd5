from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "portal.access"
    label = "access"
    verbose_name = "People and access"

    def ready(self) -> None:
        from portal.access import signals
        from portal.access.querysets import admins_write, own_or_staff, set_policy, staff_only

        signals.connect()
        set_policy("access.rule", admins_write)
        set_policy("access.accessversion", staff_only)
        set_policy("access.token", own_or_staff)
        set_policy("access.idempotentanswer", staff_only)
        # Packages below this one cannot say so themselves.
        set_policy("audit.auditevent", staff_only)
        set_policy("audit.checkpoint", staff_only)
        set_policy("plugins.extensionstate", staff_only)
