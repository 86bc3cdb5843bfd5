"""The one base of every admin class: restricted by ``visible_to``, audited, and short of statements."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, wraps
from typing import Any

import unfold.admin
from django.contrib import admin, messages
from django.db import models, transaction
from django.db.models.fields.related import ForeignObjectRel
from django.forms import BaseModelFormSet, ModelChoiceField, ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminTextareaWidget

from portal.access.admin.filters import RelatedFilter
from portal.access.admin.forms import CuratedForm, JSONField, JSONWidget, SearchedSelect
from portal.access.querysets import policy_for, visible
from portal.access.viewer import CURATE, VIEW, Viewer
from portal.audit.models import AuditEvent
from portal.audit.services import record
from portal.core.errors import CallboardError

#: Records that the history of an object shows.
HISTORY = 100


def viewer_of(request: HttpRequest) -> Viewer:
    """Who uses the admin just now."""
    viewer: Viewer = request.viewer  # type: ignore[attr-defined]  # set by AccessMiddleware
    return viewer


def _text(value: Any) -> Any:
    """A form's value as the audit record keeps it."""
    if isinstance(value, models.Model):
        return str(value)
    if isinstance(value, models.QuerySet | list | tuple):
        return [_text(each) for each in value]
    return value


def age(then: datetime | None) -> SafeString:
    """``2 hours ago``, ``just now``, with the exact time on hover; a dash where there is none."""
    if then is None:
        return SafeString("-")
    now = timezone.now()
    past = then <= now
    if abs(now - then) < timedelta(minutes=1):
        text = "just now" if past else "in a moment"
    else:
        # Django says "2 hours, 3 minutes": the first part is enough.
        about = (timesince(then, now) if past else timeuntil(then, now)).partition(",")[0]
        text = f"{about} ago" if past else f"in {about}"
    exact = date_format(timezone.localtime(then), "j F Y, H:i:s T")
    return format_html(
        '<time class="cb-time" datetime="{}" title="{}">{}</time>', then.isoformat(), exact, text
    )


def once(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """For a field that reads further rows: unfold's templates ask for the content of a field several times."""

    @wraps(method)
    def show(self: Any, obj: Any) -> Any:
        name = f"_shown_{method.__name__}"
        if name not in obj.__dict__:
            obj.__dict__[name] = method(self, obj)
        return obj.__dict__[name]

    return show


@cache
def _ages(name: str) -> Callable[[Any], SafeString]:
    @admin.display(ordering=name, description=name.removesuffix("_at").replace("_", " "))
    def show(obj: Any) -> SafeString:
        return age(getattr(obj, name))

    show.__name__ = name
    return show


class Restricted:
    """Rows, choices and permissions by the policies of ``portal.access``; for admin classes and their inlines."""

    model: type[models.Model]
    opts: Any

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = visible(self.model._default_manager.all(), viewer_of(request))  # type: ignore[type-var]  # all are guarded
        ordering = self.get_ordering(request)  # type: ignore[attr-defined]  # of the admin class beside this one
        return rows.order_by(*ordering) if ordering else rows

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> models.QuerySet[Any]:
        """Choices of a field that refers to other rows."""
        model = db_field.remote_field.model
        rows: models.QuerySet[Any] = visible(model._default_manager.all(), viewer_of(request))
        return rows.order_by(*(model._meta.ordering or ("pk",)))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if "widget" not in kwargs and db_field.name in self.get_autocomplete_fields(request):  # type: ignore[attr-defined]  # of the admin class beside this one
            kwargs["widget"] = SearchedSelect(db_field, self.admin_site, using=kwargs.get("using"))  # type: ignore[attr-defined]  # the same
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]  # the same

    def _may(self, request: HttpRequest, action: str, obj: models.Model | None = None) -> bool:
        viewer = viewer_of(request)
        if not viewer.is_staff:
            return False
        condition = policy_for(self.model)(viewer, action)
        if condition is None:
            return False
        if obj is None or not condition or not isinstance(obj, self.model):
            return True
        return visible(self.model._default_manager.filter(pk=obj.pk), viewer, action).exists()  # type: ignore[type-var]  # all are guarded

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._may(request, VIEW, obj)

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._may(request, CURATE)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._may(request, CURATE, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._may(request, CURATE, obj)

    def has_curate_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """For actions, which a read-only admin may have as well."""
        return self._may(request, CURATE, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, VIEW)


class RestrictedFormSet(PaginationInlineFormSet):
    """Rows of an inline; the hidden field that names each one knows only those that the viewer may see."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for field in form.fields.values():  # a cell of a table has no label of its own
            field.widget.attrs.setdefault("aria-label", str(field.label or ""))
        key = form.fields.get(self._pk_field.name)
        if isinstance(key, ModelChoiceField):
            key.queryset = self.queryset


class TabularInline(Restricted, unfold.admin.TabularInline):
    """Rows that belong to one object, on its page."""

    form = CuratedForm
    formset = RestrictedFormSet
    extra = 0
    formfield_overrides = {
        **unfold.admin.TabularInline.formfield_overrides,
        models.JSONField: {"form_class": JSONField, "widget": JSONWidget},
    }


class ModelAdmin(Restricted, unfold.admin.ModelAdmin):
    """Base of every admin class.

    Writes: a class whose model has services overrides ``save_model`` and ``delete_model`` and calls them; what a
    service refuses is shown in the form. Everything else is written here, and recorded with what changed.
    """

    form = CuratedForm
    formfield_overrides = {
        models.JSONField: {"form_class": JSONField, "widget": JSONWidget},
        models.TextField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 3})},
        models.URLField: {"assume_scheme": "https"},
    }
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    list_filter_submit = True
    warn_unsaved_form = True
    compressed_fields = True
    show_facets = admin.ShowFacets.NEVER
    object_history_template = "admin/audit_history.html"

    # ------------------------------------------------------------------------------------------------------- lists

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Times in lists are ages, with the exact time on hover."""
        shown: list[Any] = []
        for name in super().get_list_display(request):
            field = self._field(name) if isinstance(name, str) else None
            shown.append(_ages(name) if isinstance(field, models.DateTimeField) else name)
        return shown

    def _field(self, name: str) -> Any:
        return next((field for field in self.opts.concrete_fields if field.name == name), None)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """A field that refers to other rows offers those the viewer may see."""
        filters: list[Any] = []
        for entry in super().get_list_filter(request):
            if isinstance(entry, str) and "__" not in entry:
                field = self.opts.get_field(entry)
                if not isinstance(field, ForeignObjectRel) and field.remote_field is not None:
                    entry = (entry, RelatedFilter)
            filters.append(entry)
        return filters

    # -------------------------------------------------------------------------------------------------------- forms

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> type[ModelForm]:
        form: type[ModelForm] = super().get_form(request, *args, **kwargs)
        form.refused = getattr(request, "_refused", None)  # type: ignore[attr-defined]  # of CuratedForm
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What a service refuses comes back in the form, with everything that was typed."""
        try:
            answer: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
        except CallboardError as error:
            if request.method != "POST" or getattr(request, "_refused", None) is not None:
                raise
            request._refused = error  # type: ignore[attr-defined]  # read by get_form
            answer = super().changeform_view(request, object_id, form_url, extra_context)
        return answer

    # ------------------------------------------------------------------------------------------------------- writes

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        fields = form.changed_data if change else list(form.cleaned_data)
        before = {name: _text(form.initial.get(name)) for name in fields} if change else None
        super().save_model(request, obj, form, change)
        if fields or not change:
            after = {name: _text(form.cleaned_data.get(name)) for name in fields}
            self._record(request, obj, "changed" if change else "created", before, after)

    @transaction.atomic
    def save_formset(self, request: HttpRequest, form: Any, formset: BaseModelFormSet, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for obj in formset.new_objects:
            self._record(request, obj, "created")
        for obj, fields in formset.changed_objects:
            self._record(request, obj, "changed", after={"fields": fields})
        for obj in formset.deleted_objects:
            self._record(request, obj, "deleted")

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._record(request, obj, "deleted")
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        """One by one, so that each is recorded and each service asked."""
        for obj in queryset:
            self.delete_model(request, obj)

    def response_action(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        """What a service refuses while it works through the chosen rows is said above the list."""
        try:
            answer: HttpResponse | None = super().response_action(request, queryset)
        except CallboardError as error:
            messages.error(request, " ".join(filter(None, (error.message, error.remedy))))
            return None
        return answer

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            answer: HttpResponse = super().delete_view(request, object_id, extra_context)
        except CallboardError as error:
            messages.error(request, " ".join(filter(None, (error.message, error.remedy))))
            return self.response_post_save_change(request, None)
        return answer

    def _record(
        self,
        request: HttpRequest,
        obj: models.Model,
        verb: str,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        label = f"{obj._meta.app_label}.{obj._meta.model_name}"
        actor = viewer_of(request).actor
        record(actor=actor, verb=f"{label}.{verb}", target=obj, before=before, after=after)

    # ------------------------------------------------------------------------------------------------------ history
    # The audit record replaces Django's own log, which knows the admin only.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Recorded where it is written."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Recorded where it is written."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Recorded where it is written."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The audit records of one object, newest first."""
        obj = self.get_object(request, object_id)
        if obj is None or not self.has_view_permission(request, obj):
            raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")
        events = visible(AuditEvent.objects.all(), viewer_of(request))
        events = events.filter(object_type=self.opts.label_lower, object_id=str(obj.pk))
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {obj}",
            "events": events.order_by("-id")[:HISTORY],
            "limit": HISTORY,
            "module_name": str(self.opts.verbose_name_plural),
            "object": obj,
            "opts": self.opts,
            "preserved_filters": self.get_preserved_filters(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.object_history_template, context)

    # --------------------------------------------------------------------------------------------------- small words

    @staticmethod
    def code(value: object) -> SafeString:
        """A value in the type for code."""
        return (
            format_html('<code class="cb-code">{}</code>', value)
            if value not in (None, "")
            else SafeString("-")
        )


class ReadOnlyAdmin(ModelAdmin):
    """Looked at, never written here."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False
