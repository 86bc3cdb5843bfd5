"""What came of each file, so that an unchanged one need not be processed again."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0004_tombstones_without_documents")]

    operations = [
        migrations.AddField(
            model_name="source",
            name="people_mark",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="Of the people and groups it last defined.",
                max_length=40,
            ),
        ),
        migrations.AddField(
            model_name="sourcefile",
            name="mark",
            field=models.CharField(
                blank=True,
                default="",
                help_text="What its place calls this content, as Git's object id.",
                max_length=200,
            ),
        ),
        migrations.AddField(
            model_name="sourcefile",
            name="commit",
            field=models.CharField(
                blank=True, default="", help_text="The first commit with this content.", max_length=64
            ),
        ),
        migrations.AddField(
            model_name="sourcefile",
            name="record",
            field=models.TextField(
                blank=True, default="", help_text="What came of it, for as long as it is the same."
            ),
        ),
    ]
