"""Exports of admin lists leave a record: who took which rows out, in which form."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.http import HttpRequest

from portal.audit.services import record


class RecordedExport:
    """Stands before ``ExportMixin`` in an admin class."""

    opts: Any

    def get_export_data(
        self, file_format: Any, request: HttpRequest, queryset: models.QuerySet[Any], **kwargs: Any
    ) -> Any:
        record(
            actor=request.viewer.actor,  # type: ignore[attr-defined]  # set by AccessMiddleware
            verb=f"{self.opts.label_lower}.exported",
            object_type=self.opts.label_lower,
            object_name=str(self.opts.verbose_name_plural),
            after={"format": file_format.get_title(), "question": request.GET.urlencode()[:1000]},
        )
        return super().get_export_data(file_format, request, queryset, **kwargs)  # type: ignore[misc]  # of ExportMixin
