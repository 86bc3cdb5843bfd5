from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "portal.events"
    label = "events"
    verbose_name = "Events"

    def ready(self) -> None:
        from portal.access.querysets import set_policy, staff_only

        # Others read events through portal.events.selectors, where each type's own rule narrows them.
        for model in ("event", "subscription", "delivery"):
            set_policy(f"events.{model}", staff_only)
