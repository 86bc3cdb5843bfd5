"""What allauth asks us about accounts."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up by themselves: people come from an administrator or an identity provider."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
