from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"
    label = "catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        from catalog import tasks  # noqa: F401  (registers the job handlers)
