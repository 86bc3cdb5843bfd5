import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    # By itself: PostgreSQL changes no table of which rows were changed in the same transaction.

    dependencies = [
        ('catalog', '0003_revisions'),
    ]

    operations = [
        migrations.AlterField(
            model_name='tombstone',
            name='revision',
            field=models.OneToOneField(editable=False, help_text='Its last version.', on_delete=django.db.models.deletion.PROTECT, related_name='tombstone', to='catalog.revision'),
        ),
        migrations.RemoveField(
            model_name='tombstone',
            name='commit',
        ),
        migrations.RemoveField(
            model_name='tombstone',
            name='content_hash',
        ),
        migrations.RemoveField(
            model_name='tombstone',
            name='document_index',
        ),
        migrations.RemoveField(
            model_name='tombstone',
            name='line',
        ),
        migrations.RemoveField(
            model_name='tombstone',
            name='relations',
        ),
        migrations.RemoveField(
            model_name='tombstone',
            name='text',
        ),
        migrations.RemoveField(
            model_name='tombstone',
            name='url',
        ),
    ]
