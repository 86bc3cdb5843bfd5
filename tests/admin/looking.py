"""What a write left behind, and what the page said about it."""

from __future__ import annotations

from typing import Any

from portal.audit.models import AuditEvent

CONFIRMED = {"_form_submitted": "True"}


def verbs() -> list[str]:
    """What was recorded since the world was made."""
    return list(AuditEvent.objects.order_by("id").values_list("verb", flat=True))[1:]


def last() -> AuditEvent:
    return AuditEvent.objects.order_by("id").last()  # type: ignore[return-value]  # there is one


def errors_of(answer: Any) -> str:
    """What the form says."""
    assert answer.status_code == 200, answer
    form = answer.context["adminform"].form
    said = [str(error) for errors in form.errors.values() for error in errors]
    for inline in answer.context["inline_admin_formsets"]:
        for each in inline.formset.errors:
            said += [str(error) for errors in each.values() for error in errors]
        said += [str(error) for error in inline.formset.non_form_errors()]
    return " ".join(said)


def said_in(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])
