"""What can go wrong with a repository, told apart by what git printed."""

from __future__ import annotations

import re

from portal.core.errors import CallboardError, NotFoundError, ServiceUnavailableError, TimedOutError
from portal.core.process import ProcessFailedError


class GitError(ServiceUnavailableError):
    """A repository could not be read."""

    default_code = "git.failed"


class GitRefusedError(GitError):
    """The server does not let us in."""

    default_code = "git.refused"


# The texts of git 2.37 to 2.51 and of the libcurl below it, in English because the child runs with LC_ALL=C.
_NO_REPOSITORY = re.compile(
    r"repository .* not found|does not appear to be a git repository|returned error: (404|410)|does not exist|"
    r"repository not found|could not be found or you don't have permission",
    re.IGNORECASE,
)
_NO_REF = re.compile(r"couldn't find remote ref|not our ref|no such ref|unadvertised object", re.IGNORECASE)
_NOT_LET_IN = re.compile(
    r"could not read (username|password)|authentication failed|returned error: (401|403)|permission denied|"
    r"access denied",
    re.IGNORECASE,
)
_OTHER_HOST_KEY = re.compile(r"host key verification failed", re.IGNORECASE)
# What git adds to the reason that ssh has given before.
_SAYS_NOTHING = re.compile(r"could not read from remote repository", re.IGNORECASE)
_TOO_SLOW = re.compile(r"timed out|too slow|timeout", re.IGNORECASE)
_REDIRECT = re.compile(r"returned error: 30[12378]")
# What only our own copy can be blamed for.
_BROKEN_CACHE = re.compile(
    r"not a git repository|corrupt|bad object|bad config|unable to read|missing (blob|tree|commit)|not a tree object|"
    r"invalid object|packfile|pack has|loose object|unresolved deltas|did not send all necessary|shallow file|"
    # A lock that a killed git left: whoever sees this holds the lock of the whole cache, so nobody else has it.
    r"unable to create '[^']*\.lock'|"
    r"unable to parse|bad tree object|not a valid object|could not read [0-9a-f]{40}|inflate|not in expected format",
    re.IGNORECASE,
)


def is_redirect(error: ProcessFailedError) -> bool:
    return bool(_REDIRECT.search(error.stderr))


def is_broken_cache(error: ProcessFailedError) -> bool:
    ours = "\n".join(line for line in error.stderr.splitlines() if not line.startswith("remote:"))
    return bool(_BROKEN_CACHE.search(ours))


def from_remote(error: ProcessFailedError, shown: str, what: str) -> CallboardError:
    """The error for a command that talked to a server.

    Args:
        error: how git ended; its texts hold no secrets any more.
        shown: the repository, safe to show.
        what: the ref that was asked for, or an empty string.
    """
    text = error.stderr
    place = f"{what} of {shown}" if what else shown
    if _OTHER_HOST_KEY.search(text):
        return GitRefusedError(
            f"{shown} shows a host key that is not the known one: another server answers, or its key was changed.",
            code="git.host-key",
            remedy="Ask who runs it; if it was changed, remove its line from git/known_hosts in the data folder.",
        )
    if _NOT_LET_IN.search(text):
        return GitRefusedError(
            f"{shown} does not let us in: {_reason(text)}.",
            remedy="Give the connection for this host a credential that may read the repository.",
        )
    if _NO_REF.search(text):
        return NotFoundError(
            f"{place} does not exist.",
            code="git.ref-not-found",
            remedy="Check the branch, tag or commit; a commit has to be reachable from a branch or tag.",
        )
    if _NO_REPOSITORY.search(text):
        return NotFoundError(
            f"There is no repository {shown}.",
            code="git.not-found",
            remedy="Check the address; servers also answer like this when a credential may not see it.",
        )
    if _TOO_SLOW.search(text):
        return TimedOutError(
            f"{shown} answers too slowly: {_reason(text)}.",
            code="git.timeout",
            remedy="Check the server; the next attempt may succeed.",
        )
    return GitError(
        f"{place} could not be read: {_reason(text) or error.message}.",
        remedy="Check that the server runs and that this machine can reach it.",
    )


def _reason(stderr: str) -> str:
    """The line that says most: the first one that git itself calls fatal or an error, else the last."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any(_SAYS_NOTHING.search(line) for line in lines):  # four lines of advice follow
        lines = lines[: next(i for i, line in enumerate(lines) if _SAYS_NOTHING.search(line)) or 1]
    chosen = next(
        (
            line
            for line in lines
            if line.startswith(("fatal:", "error:", "ERROR:")) and not _SAYS_NOTHING.search(line)
        ),
        lines[-1] if lines else "",
    )
    return chosen.partition(": ")[2].rstrip(".") if ": " in chosen else chosen.rstrip(".")
