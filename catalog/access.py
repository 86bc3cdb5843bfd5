"""What may be done with entities, and who may: rules of ``portal.access``, asked of the database with the question."""

from __future__ import annotations

from collections.abc import Hashable

from django.db.models import Q

from catalog.actions import EDIT, REFRESH, UNREGISTER
from catalog.models import Entity
from catalog.query.compile import Matches
from catalog.query.conditions import EVERYTHING, NOTHING, Condition
from catalog.query.dictionary import Dictionary
from catalog.query.expressions import ENTITIES, Asker, both, check, condition_of, either, negated
from catalog.query.memory import entities_version
from catalog.query.ownership import owned_by
from catalog.query.scope import Scope
from catalog.query.sql import TRUE
from portal.access.models import Rule
from portal.access.querysets import Policy
from portal.access.resources import Resource
from portal.access.services.rules import ShippedRule
from portal.access.standing import RuleData, may_at_all, rules_for, standing_of
from portal.access.viewer import CURATE, VIEW, Viewer
from portal.core.errors import InputError
from portal.core.remember import remembered

ENTITY = "catalog.entity"
RESOURCE = Resource(
    ENTITY,
    "entities",
    {
        VIEW: "See it, everywhere.",
        EDIT: "Change what is kept here of it.",
        REFRESH: "Have its source read now.",
        UNREGISTER: "Remove it from the catalog.",
        CURATE: "Everything else that curators do with it.",
    },
    ENTITIES,
    check,
)
SHIPPED = (
    ShippedRule(
        "everyone-views",
        "Everybody sees the catalog",
        "Switch it off to show only what other rules allow.",
        ENTITY,
        (VIEW,),
        Rule.Audience.EVERYONE,
    ),
    ShippedRule(
        "owners-act",
        "Owners look after what they own",
        "Directly, or through its system or domain.",
        ENTITY,
        (EDIT, REFRESH, UNREGISTER),
        Rule.Audience.EVERYONE,
        "entity.owned",
    ),
    ShippedRule(
        "curators-act",
        "Curators do everything in the catalog",
        "",
        ENTITY,
        (VIEW, EDIT, REFRESH, UNREGISTER, CURATE),
        Rule.Audience.CURATORS,
    ),
)


def entity_policy(viewer: Viewer, action: str) -> Q | None:
    """For ``set_policy``: entities on which the viewer may do ``action``."""
    if not may_at_all(viewer, action):
        return None
    if viewer.is_system or viewer.is_superuser:
        return Q()
    condition = remembered(("catalog.access", viewer, action), lambda: allowed(viewer, action))
    if condition == EVERYTHING:
        return Q()
    return None if condition == NOTHING else Q(Matches(condition, _learned(condition)))


def allowed(viewer: Viewer, action: str) -> Condition:
    """Entities that the rules allow and none denies. What is not seen is not acted on either."""
    yes: Condition = NOTHING
    no: Condition = NOTHING
    for rule in rules_for(ENTITY, viewer, action):
        condition = rule_condition(rule, viewer)
        if rule.allows:
            yes = either(yes, condition)
        else:
            no = either(no, condition)
    found = both(yes, negated(no))
    return found if action == VIEW or found == NOTHING else both(found, allowed(viewer, VIEW))


def rule_condition(rule: RuleData, viewer: Viewer) -> Condition:
    """For which entities a rule holds. One that cannot be understood any more (variables went) allows nothing and
    denies everything: the safe side.
    """
    if not rule.expression:
        return EVERYTHING
    standing = standing_of(viewer)
    asker = Asker(standing.ref, standing.groups, viewer.is_staff, lambda: owned_by(standing.refs))
    try:
        return condition_of(ENTITIES.compile(rule.expression), asker)
    except InputError:
        return NOTHING if rule.allows else EVERYTHING


def _learned(condition: Condition) -> Dictionary:
    """What keys and values are called, for a condition that is no question of anybody."""

    def make() -> Dictionary:
        words = Dictionary(entities_version, Scope(TRUE, "everything"))
        words.learn([condition])
        return words

    key: Hashable = ("catalog.access.words", condition)
    return remembered(key, make)


# --- what belongs to entities


def follows(field: str, key: str = "ref", *, owner: str = "") -> Policy:
    """A policy for rows that say something of an entity: they are seen by whoever sees it.

    Where somebody sees only some entities, what is said of none that is there (an entity that went, a document that
    never became one) is seen by its owners alone.

    Args:
        field: of the row, that names the entity.
        key: of the entity, that it is named by.
        owner: field of the row that names the owner.
    """

    def policy(viewer: Viewer, action: str) -> Q | None:
        if not viewer.allows(action):
            return None
        condition = entity_policy(viewer, VIEW)
        if condition is None or not condition:
            return condition
        seen = Q(**{f"{field}__in": Entity.objects.visible_to(viewer).values(key)})
        if owner and (refs := standing_of(viewer).refs):
            gone = ~Q(**{f"{field}__in": Entity.objects.unrestricted(_GONE).values(key)})
            seen |= gone & Q(**{f"{owner}__in": refs})
        return seen

    return policy


def whoever_sees_all(viewer: Viewer, action: str) -> Q | None:
    """A policy for rows that say something of many entities at once."""
    return Q() if viewer.allows(action) and entity_policy(viewer, VIEW) == Q() else None


_GONE = "whether there is such an entity at all decides who sees what is left of it"
#: Model to policy, for what is read by itself.
FOLLOWING: dict[str, Policy] = {
    "catalog.entitydocument": follows("entity", "pk"),
    "catalog.entityattribute": follows("entity", "pk"),
    "catalog.relation": follows("source_ref"),
    "catalog.alias": follows("entity", "pk"),
    "catalog.revision": follows("uid", "uid", owner="owner_ref"),
    "catalog.revisionattribute": follows("revision__uid", "uid"),
    "catalog.revisionrelation": follows("revision__uid", "uid"),
    "catalog.tombstone": follows("ref", owner="owner_ref"),
    "catalog.problem": follows("entity_ref", owner="owner_ref"),
    "catalog.contender": follows("entity_ref"),
    "catalog.claim": follows("entity_ref"),
    "catalog.missingtarget": whoever_sees_all,
    "catalog.quarantine": whoever_sees_all,
    "catalog.remoteentry": whoever_sees_all,
    "catalog.remotereport": whoever_sees_all,
    "catalog.sourcefile": whoever_sees_all,
}
