from django.db import migrations, models

from portal.audit import guards


def install(apps, schema_editor):
    guards.install(schema_editor.connection)


def remove(apps, schema_editor):
    guards.remove(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Checkpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('checkpoint', 'Checkpoint'), ('boundary', 'Boundary')], editable=False, max_length=10)),
                ('position', models.BigIntegerField(editable=False)),
                ('digest', models.CharField(editable=False, max_length=64)),
                ('at', models.DateTimeField(editable=False)),
                ('signature', models.CharField(editable=False, max_length=200)),
                ('written_at', models.DateTimeField(editable=False, help_text='When its copy was put elsewhere.', null=True)),
            ],
            options={
                'verbose_name': 'audit checkpoint',
                'ordering': ('-position',),
                'constraints': [models.UniqueConstraint(fields=('kind', 'position'), name='audit_checkpoint_once')],
            },
        ),
        migrations.RunPython(install, remove),
    ]
