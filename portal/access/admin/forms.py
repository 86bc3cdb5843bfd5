"""Forms of the admin: errors of services beside their fields, JSON that a person can read and mend."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from unfold.widgets import UnfoldAdminTextareaWidget

from portal.core.errors import CallboardError
from portal.core.querysets import guarded_reads


class CuratedForm(forms.ModelForm):
    """Base of the forms of the admin.

    Attributes:
        refused: what the service said the last time this was sent; shown beside the field that
            ``details["field"]`` names.
    """

    refused: CallboardError | None = None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.refused is not None:
            field = self.refused.details.get("field")
            text = " ".join(filter(None, (self.refused.message, self.refused.remedy)))
            self.add_error(field if field in self.fields else None, text)
        return cleaned

    def _post_clean(self) -> None:
        """Django looks for rows with the same values here: among all rows, also those that the viewer may not see."""
        with guarded_reads(False):
            super()._post_clean()  # type: ignore[misc]  # Django's own step of validation, not in the stubs


class SearchedSelect(AutocompleteSelect):
    """A row of another table, found by typing. While it is empty it says so."""

    def build_attrs(
        self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        rows = self.field.remote_field.model._meta.verbose_name_plural
        return {**super().build_attrs(base_attrs, extra_attrs), "data-placeholder": f"Search {rows}"}


class JSONField(forms.JSONField):
    """JSON with its place named when it does not parse."""

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except RecursionError:
            raise forms.ValidationError("It is nested too deeply.", code="invalid") from None
        except forms.ValidationError:
            try:
                json.loads(value, cls=self.decoder)
            except json.JSONDecodeError as error:
                text = f"Line {error.lineno}, column {error.colno}: {error.msg}."
                raise forms.ValidationError(text, code="invalid") from None
            raise

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except RecursionError:
            return forms.fields.InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, forms.fields.InvalidJSONInput):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False, cls=self.encoder)


class JSONWidget(UnfoldAdminTextareaWidget):
    """A text area for code, as high as its content up to a limit."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(
            {"spellcheck": "false", "autocapitalize": "off", "data-code": "json", **(attrs or {})}
        )

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["widget"]["attrs"]["rows"] = min(max(str(value or "").count("\n") + 1, 3), 28)
        return context
