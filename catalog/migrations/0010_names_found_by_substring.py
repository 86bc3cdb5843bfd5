from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models

_CREATE = "CREATE INDEX catalog_entity_substring ON catalog_entity USING gin (name gin_trgm_ops, label gin_trgm_ops)"


def _on_postgresql(statement):
    """SQLite has no such index; it reads names fast enough for the sizes it is for."""

    def run(apps, schema_editor):
        if schema_editor.connection.vendor == 'postgresql':
            schema_editor.execute(statement)

    return run


class _Trigrams(TrigramExtension):
    """Django's own looks for the extension on any database when it goes back."""

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == 'postgresql':
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0009_kept_here'),
    ]

    operations = [
        _Trigrams(),
        migrations.AddIndex(
            model_name='entity',
            index=models.Index(fields=['name', 'uid'], include=('id', 'label'), name='catalog_entity_name'),
        ),
        migrations.RunPython(
            _on_postgresql(_CREATE), _on_postgresql('DROP INDEX catalog_entity_substring'), elidable=False
        ),
    ]
