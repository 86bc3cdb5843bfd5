from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def _install_shipped_kinds(**_: Any) -> None:
    from catalog.services.kinds import install_shipped_kinds

    install_shipped_kinds()


def _install_shipped_rules(**_: Any) -> None:
    from catalog.access import SHIPPED
    from portal.access.services.rules import install_rules

    install_rules(SHIPPED)


class CatalogConfig(AppConfig):
    name = "catalog"
    label = "catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        from catalog import tasks  # noqa: F401  (registers the job handlers)
        from catalog.access import ENTITY, FOLLOWING, RESOURCE, entity_policy
        from catalog.presenters.sync_job import describe_sync
        from catalog.query.figures import figures
        from catalog.selectors import visible_refs, visible_source_names
        from catalog.services.sources import SYNC_JOB
        from portal.access.querysets import set_policy, staff_only
        from portal.access.resources import declare_resource
        from portal.events.registry import event_types
        from portal.jobs.outcomes import describe_jobs
        from portal.observability.metrics import at_scrape

        declare_resource(RESOURCE)
        set_policy(ENTITY, entity_policy)
        for label, policy in FOLLOWING.items():
            set_policy(label, policy)
        for name in ("bulkoperation", "bulkitem", "keptdocument"):
            set_policy(f"catalog.{name}", staff_only)

        set_policy("catalog.hook", staff_only)
        set_policy("catalog.hookdelivery", staff_only)
        describe_jobs(SYNC_JOB, describe_sync)
        event_types.register("catalog.entity", visible=visible_refs)
        event_types.register("catalog.source", visible=visible_source_names)
        at_scrape("catalog", figures)
        post_migrate.connect(
            _install_shipped_kinds, sender=self, dispatch_uid="catalog.install_shipped_kinds"
        )
        post_migrate.connect(
            _install_shipped_rules, sender=self, dispatch_uid="catalog.install_shipped_rules"
        )
