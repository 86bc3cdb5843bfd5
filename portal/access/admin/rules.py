"""Rules: who may do what, written down where curators look for it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectMultipleWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from portal.access.admin.base import ModelAdmin, viewer_of
from portal.access.admin.forms import CuratedForm
from portal.access.models import Principal, Rule
from portal.access.resources import resource_named, resources
from portal.access.services.rules import FIELDS, delete_rule, save_rule

_REASON = "whoever may write a rule may write it about everybody"


class RuleForm(CuratedForm):
    """Actions and people are fields of our own: the ones are known to the apps, the others are restricted rows."""

    resource = forms.ChoiceField(label="About", widget=UnfoldAdminSelectWidget)
    actions = forms.MultipleChoiceField(
        label="Actions", widget=UnfoldAdminSelectMultipleWidget(attrs={"size": 6})
    )
    who = forms.ModelMultipleChoiceField(
        queryset=Principal.objects.none(),
        required=False,
        label="People and groups",
        widget=UnfoldAdminSelectMultipleWidget,
        help_text="Members of a group and of those below it count, too.",
    )
    expression = forms.CharField(
        label="Only where",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="CEL, such as entity.kind == 'component' && 'pci' in entity.tags. Empty: all of them.",
    )

    class Meta:
        model = Rule
        fields = tuple(name for name in FIELDS if name not in ("resource", "actions", "expression"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: Any = self.fields
        choices["resource"].choices = [(r.label, r.noun.capitalize()) for r in resources()]
        choices["actions"].choices = sorted({(a, a.capitalize()) for r in resources() for a in r.actions})
        choices["who"].queryset = Principal.objects.unrestricted(_REASON).filter(active=True).order_by("ref")
        if not self.instance._state.adding:
            for name in ("resource", "actions", "expression"):
                self.initial[name] = getattr(self.instance, name)
            self.initial["who"] = [row.pk for row in self.instance.principals.unrestricted(_REASON)]


@admin.register(Rule)
class RuleAdmin(ModelAdmin):
    form = RuleForm
    list_display = ("name", "effect", "actions_shown", "audience", "about", "enabled", "expires_at")
    list_filter = ("effect", "audience", "enabled")
    search_fields = ("name", "description", "expression", "principals__ref")
    ordering = ("name",)
    readonly_fields = ("variables", "created_at", "changed_at")
    fieldsets = (
        (None, {"fields": ("name", "description", "enabled")}),
        ("What", {"fields": ("effect", "resource", "actions")}),
        ("Who", {"fields": ("audience", "who")}),
        ("Which", {"fields": ("expression", "variables")}),
        ("How long", {"fields": ("expires_at",)}),
        ("When", {"fields": ("created_at", "changed_at")}),
    )

    @admin.display(description="Actions")
    def actions_shown(self, rule: Rule) -> str:
        return ", ".join(rule.actions)

    @admin.display(description="Only where")
    def about(self, rule: Rule) -> SafeString:
        return self.code(rule.expression)

    @admin.display(description="It may ask for")
    def variables(self, rule: Rule) -> SafeString:
        known = resource_named(rule.resource).environment.variables.values()
        lines = format_html_join(
            "", "<li><code class='cb-code'>{}</code> ({}): {}</li>", ((v.name, v.type, v.help) for v in known)
        )
        return format_html("<ul>{}</ul>", lines)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What comes with Callboard would come back; it is switched off."""
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.shipped)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in FIELDS if name in form.cleaned_data}
        saved = save_rule(
            actor=viewer_of(request),
            rule=Rule.objects.unrestricted("the form was restricted").get(pk=obj.pk) if change else None,
            values=values,
            principals=form.cleaned_data["who"],
        )
        obj.pk = saved.pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        delete_rule(actor=viewer_of(request), rule=obj)
