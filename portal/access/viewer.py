"""Who is asking: one small value that every read and write takes."""

from __future__ import annotations

from dataclasses import dataclass

VIEW = "view"
# What somebody with staff rights may do until rules arrive; everyone signed in may view.
CURATE = "curate"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person, a token of a person, or the system itself.

    Attributes:
        actor: text for the audit record, such as ``user:maren`` or ``system:scheduler``.
        user_id: key of the person, or None for anonymous and system.
        scopes: actions a token is limited to; None means no limit beyond the person's own.
    """

    actor: str
    name: str = ""
    user_id: int | None = None
    is_staff: bool = False
    is_superuser: bool = False
    is_system: bool = False
    token_id: int | None = None
    scopes: frozenset[str] | None = None

    @property
    def is_signed_in(self) -> bool:
        return self.user_id is not None or self.is_system

    # API requests carry their viewer as ``request.user``; these two words are the ones that are asked of any user.
    @property
    def is_authenticated(self) -> bool:
        return self.is_signed_in

    @property
    def pk(self) -> int | None:
        return self.user_id

    def allows(self, action: str) -> bool:
        """Whether this viewer may do ``action`` to anything at all, before any row is looked at."""
        if self.is_system:
            return True
        # Until rules arrive there are two scopes; registering, refreshing and the like fall under the second.
        scope = VIEW if action == VIEW else CURATE
        if not self.is_signed_in or (self.scopes is not None and scope not in self.scopes):
            return False
        return action == VIEW or self.is_staff

    @classmethod
    def system(cls, name: str) -> Viewer:
        """The system acting by itself: a job, a schedule, a command line."""
        return cls(actor=f"system:{name}", name=name, is_staff=True, is_system=True)


ANONYMOUS = Viewer(actor="anonymous")
