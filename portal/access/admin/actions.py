"""What can be done to one object, from its page: asked once more in a dialog, sent as a POST, errors shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from portal.core.errors import CallboardError

Method = Callable[[Any, HttpRequest, Any, forms.Form], HttpResponse | str | None]


def object_action(
    title: str,
    *,
    question: str,
    icon: str = "",
    danger: bool = False,
    permission: str = "curate",
    form: type[BaseDialogForm] | None = None,
) -> Callable[[Method], Any]:
    """Decorator for a method of an admin class; name the method in ``actions_detail``.

    The method gets the request, the object (of those the viewer may see) and the valid form of the dialog. It returns
    an answer, or the text of a success message. An error of ours that it raises is shown as a message.

    Args:
        title: of the button, a verb.
        question: what the dialog says before it happens.
        permission: ``curate`` or ``view``, on this object.
        form: further questions.
    """

    def decorate(method: Method) -> Any:
        @action(
            description=title,
            url_path=method.__name__.replace("_", "-"),
            icon=icon or None,
            variant=ActionVariant.DANGER if danger else ActionVariant.DEFAULT,
            permissions=[permission],
            dialog={
                "title": title,
                "description": question,
                "form_class": form or BaseDialogForm,
                "form_submit_text": title,
            },
        )
        @wraps(method)
        def run(self: Any, request: HttpRequest, filled: forms.Form, object_id: str) -> HttpResponse:
            obj = self.get_object(request, object_id)
            if obj is None:
                raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")
            if not getattr(self, f"has_{permission}_permission")(request, obj):
                raise PermissionDenied
            back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])
            try:
                said = method(self, request, obj, filled)
            except CallboardError as error:
                messages.error(request, " ".join(filter(None, (error.message, error.remedy))))
                return _go(request, back)
            if isinstance(said, HttpResponse):
                return said
            if said:
                messages.success(request, said)
            return _go(request, back)

        return run

    return decorate


def _go(request: HttpRequest, url: str) -> HttpResponse:
    """To another page, also out of a dialog that htmx has sent."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
