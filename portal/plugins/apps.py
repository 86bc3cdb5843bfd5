from django.apps import AppConfig


class PluginsConfig(AppConfig):
    name = "portal.plugins"
    label = "plugins"
    verbose_name = "Plugins"

    def ready(self) -> None:
        from portal.plugins.loading import load_plugins

        load_plugins()
