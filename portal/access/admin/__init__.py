"""The base of every admin class, and the admin of people, identities and tokens."""

from portal.access.admin.actions import object_action
from portal.access.admin.base import ModelAdmin, ReadOnlyAdmin, TabularInline, once, viewer_of
from portal.access.admin.filters import FieldFilter, RelatedFilter
from portal.access.admin.forms import CuratedForm, JSONField, JSONWidget
from portal.access.admin.people import MembershipAdmin, PrincipalAdmin, UserAdmin
from portal.access.admin.rules import RuleAdmin
from portal.access.admin.sessions import BrowserSessionAdmin
from portal.access.admin.tokens import TokenAdmin

__all__ = [
    "BrowserSessionAdmin",
    "CuratedForm",
    "FieldFilter",
    "JSONField",
    "JSONWidget",
    "MembershipAdmin",
    "ModelAdmin",
    "PrincipalAdmin",
    "ReadOnlyAdmin",
    "RelatedFilter",
    "RuleAdmin",
    "TabularInline",
    "TokenAdmin",
    "UserAdmin",
    "object_action",
    "once",
    "viewer_of",
]
