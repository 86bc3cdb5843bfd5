from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def _install_shipped_kinds(**_: Any) -> None:
    from catalog.services.kinds import install_shipped_kinds

    install_shipped_kinds()


class CatalogConfig(AppConfig):
    name = "catalog"
    label = "catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        from catalog import tasks  # noqa: F401  (registers the job handlers)
        from portal.access.querysets import set_policy, staff_only

        for name in ("bulkoperation", "bulkitem", "keptdocument"):
            set_policy(f"catalog.{name}", staff_only)

        post_migrate.connect(
            _install_shipped_kinds, sender=self, dispatch_uid="catalog.install_shipped_kinds"
        )
