from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "portal.access"
    label = "access"
    verbose_name = "People and access"

    def ready(self) -> None:
        from allauth.account.signals import password_changed, password_reset, password_set
        from django.contrib.auth.signals import user_logged_in

        from portal.access import signals
        from portal.access.querysets import admins_write, own_or_staff, set_policy, staff_only
        from portal.access.services.sessions import on_new_password, on_signed_in

        signals.connect()
        set_policy("access.rule", admins_write)
        set_policy("access.accessversion", staff_only)
        set_policy("access.token", own_or_staff)
        set_policy("access.browsersession", own_or_staff)
        set_policy("access.idempotentanswer", staff_only)
        # Packages below this one cannot say so themselves.
        set_policy("audit.auditevent", staff_only)
        set_policy("audit.checkpoint", staff_only)
        set_policy("plugins.extensionstate", staff_only)
        user_logged_in.connect(on_signed_in, dispatch_uid="portal.access.session")
        for signal in (password_changed, password_reset, password_set):
            signal.connect(on_new_password, dispatch_uid="portal.access.sessions")
