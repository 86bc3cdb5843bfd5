"""Every write of this app."""

from portal.access.services.principals import (
    PersonData,
    link_person,
    rename_source_of_principals,
    sync_principals,
    withdraw_principals,
)
from portal.access.services.sessions import end_session, end_sessions, note_session
from portal.access.services.tokens import (
    create_token,
    note_token_use,
    revoke_token,
    revoke_tokens,
    viewer_of_token,
)
from portal.access.services.users import create_user, set_password, update_user, viewer_of_user

__all__ = [
    "PersonData",
    "create_token",
    "create_user",
    "end_session",
    "end_sessions",
    "link_person",
    "note_session",
    "note_token_use",
    "rename_source_of_principals",
    "revoke_token",
    "revoke_tokens",
    "set_password",
    "sync_principals",
    "update_user",
    "viewer_of_token",
    "viewer_of_user",
    "withdraw_principals",
]
