"""People, identities and tokens."""

from __future__ import annotations

import factory
from factory.django import DjangoModelFactory

from portal.access.models import Membership, Principal, Token, User
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
