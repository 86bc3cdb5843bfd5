"""The one Git module: reads repositories of strangers without believing a word they say.

A :class:`Repository` keeps a bare cache per remote, shared by all processes of the machine, and reads files from its
objects. Nothing is ever checked out, no hook, filter, submodule, user or system configuration takes part.
"""

from __future__ import annotations

from portal.core.git.address import GitAddress, check_ref, is_commit_id, parse_address
from portal.core.git.errors import GitError, GitRefusedError
from portal.core.git.listings import TreeEntry
from portal.core.git.repository import Repository, Resolved
from portal.core.git.transport import GitCredential

__all__ = [
    "GitAddress",
    "GitCredential",
    "GitError",
    "GitRefusedError",
    "Repository",
    "Resolved",
    "TreeEntry",
    "check_ref",
    "is_commit_id",
    "parse_address",
]
