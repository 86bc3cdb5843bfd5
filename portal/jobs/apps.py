from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "portal.jobs"
    label = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        from portal.access.querysets import set_policy, staff_only
        from portal.jobs.selectors import started_by_or_staff

        set_policy("jobs.schedule", staff_only)
        set_policy("jobs.job", started_by_or_staff)
