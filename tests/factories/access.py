"""People, identities and tokens."""

from __future__ import annotations

from datetime import timedelta

import factory
from django.contrib.sessions.models import Session
from django.utils import timezone
from factory.django import DjangoModelFactory

from portal.access.models import BrowserSession, Membership, Principal, Token, User
from portal.core.crypto import hash_token


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"person{n}")
    email = factory.LazyAttribute(lambda o: f"{o.username}@example.org")


class StaffFactory(UserFactory):
    username = factory.Sequence(lambda n: f"admin{n}")
    is_staff = True


class PrincipalFactory(DjangoModelFactory[Principal]):
    class Meta:
        model = Principal

    kind = Principal.Kind.USER
    ref = factory.Sequence(lambda n: f"user:default/person{n}")
    source = "test"


class GroupFactory(PrincipalFactory):
    kind = Principal.Kind.GROUP
    ref = factory.Sequence(lambda n: f"group:default/team{n}")
    title = factory.Sequence(lambda n: f"Team {n}")


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    member = factory.SubFactory(PrincipalFactory)
    group = factory.SubFactory(GroupFactory)
    source = "test"


class TokenFactory(DjangoModelFactory[Token]):
    """``text`` is what a client sends."""

    class Meta:
        model = Token

    class Params:
        text = factory.Sequence(lambda n: f"cb_{n:040}")

    user = factory.SubFactory(UserFactory)
    name = "a script"
    prefix = factory.LazyAttribute(lambda o: o.text[:9])
    digest = factory.LazyAttribute(lambda o: hash_token(o.text))


class SessionFactory(DjangoModelFactory[Session]):
    class Meta:
        model = Session

    session_key = factory.Sequence(lambda n: f"session{n:025}")
    session_data = ""
    expire_date = factory.LazyFunction(lambda: timezone.now() + timedelta(days=1))


class BrowserSessionFactory(DjangoModelFactory[BrowserSession]):
    class Meta:
        model = BrowserSession

    session = factory.SubFactory(SessionFactory)
    user = factory.SubFactory(UserFactory)
    agent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
    created_at = factory.LazyFunction(timezone.now)
    seen_at = factory.LazyFunction(timezone.now)
