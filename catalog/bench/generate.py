"""Generates catalogs like those of real companies, for measuring.

Nothing is kept: names and places follow from a number, so that entity 9,000 can be referred to before it is written.
Text is put together from format strings; a YAML writer would take a hundred times as long.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from catalog.bench import vocabulary as words
from catalog.bench.definitions import openapi

# Shares of real catalogs; what is left are components (60 %).
_SHARES = {"API": 0.15, "Resource": 0.12, "User": 0.08, "System": 0.03, "Group": 0.015, "Domain": 0.005}
# Who comes first when there are too few for a share of each.
_FIRST = ("Group", "Component", "User", "System", "API", "Resource", "Domain")
_COMPONENTS_PER_REPOSITORY = 15
_ENTITIES_PER_FILE = 50
_HEAD = "apiVersion: backstage.io/v1alpha1\nkind: "


def kind_counts(count: int) -> dict[str, int]:
    """How many entities of each kind a catalog of ``count`` has; they add up to ``count``."""
    counts = {kind: int(count * share) for kind, share in _SHARES.items()}
    for kind in _FIRST[:count]:
        if kind != "Component":
            counts[kind] = max(counts[kind], 1)
    return {"Component": count - sum(counts.values()), **counts}


def generate(count: int, seed: int = 1) -> Iterator[tuple[str, str]]:
    """Yields (path, text) of multi-document YAML files that hold exactly ``count`` entities.

    Paths are relative, with ``/``, and always end in ``catalog-info.yaml``. Every reference leads to an entity of the
    same catalog. The same count and seed give the same bytes.

    Raises:
        ValueError: the count is negative.
    """
    if count < 0:
        raise ValueError(f"A catalog cannot have {count} entities.")
    company = _Company(kind_counts(count), seed)
    yield from _files("org/teams", company.group, company.groups)
    yield from _files("org/people", company.user, company.users)
    yield from _files("architecture/domains", company.domain, company.domains)
    yield from _files("architecture/systems", company.system, company.systems)
    for repository in range(company.repositories):
        path = f"repositories/{company.repository_name(repository)}/catalog-info.yaml"
        yield path, "---\n".join(company.repository(repository))


def write_tree(folder: Path | str, count: int, seed: int = 1) -> int:
    """Writes the files of ``generate`` below a folder, which is made when missing.

    Returns:
        The number of files.
    """
    files = 0
    for path, text in generate(count, seed):
        target = Path(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        files += 1
    return files


def _files(stem: str, document: Callable[[int], str], count: int) -> Iterator[tuple[str, str]]:
    for number, start in enumerate(range(0, count, _ENTITIES_PER_FILE), start=1):
        last = min(start + _ENTITIES_PER_FILE, count)
        yield f"{stem}-{number:04}/catalog-info.yaml", "---\n".join(document(i) for i in range(start, last))


class _Company:
    """Writes the documents of one catalog.

    Repository ``r`` of ``R`` holds the entities ``r * n // R`` to ``(r + 1) * n // R`` of components, APIs and
    resources; they mostly share an owner and always a system and a namespace.
    """

    def __init__(self, counts: dict[str, int], seed: int) -> None:
        self.components, self.apis, self.resources = counts["Component"], counts["API"], counts["Resource"]
        self.groups, self.users = counts["Group"], counts["User"]
        self.domains, self.systems = counts["Domain"], counts["System"]
        self.repositories = -(-self.components // _COMPONENTS_PER_REPOSITORY)
        self.departments = self.groups // 10
        self.random = random.Random(seed)  # noqa: S311 - made-up names, nothing secret
        self.dice = self.random.random
        # The second team owns half as much as the first, the third a third (Zipf's law). The company as a whole and
        # the departments own nothing unless there is nobody else.
        teams = max(self.groups - self.departments - 1, 1)
        self.first_team = self.groups - teams
        self.team_weights = list(accumulate(1 / rank for rank in range(1, teams + 1)))
        self.type_weights = list(accumulate(words.COMPONENT_TYPE_WEIGHTS))
        self.lifecycle_weights = list(accumulate(words.LIFECYCLE_WEIGHTS))

    # ------------------------------------------------------------------------------------------------------ picking
    def pick(self, values: Sequence[str]) -> str:
        return values[int(self.dice() * len(values))]

    def popular(self, count: int) -> int:
        """A number below ``count``, the low ones far more often: things that everybody depends on."""
        return int(count * self.dice() ** 3)

    def team(self) -> int:
        return self.first_team + bisect(self.team_weights, self.dice() * self.team_weights[-1])

    def refs(self, most: int, ref: Callable[[int], str], count: int, here: str, own: int) -> list[str]:
        """Up to ``most`` different references: mostly popular things, some near ``own``."""
        if not count:
            return []
        dice = self.dice
        chosen = {
            self.popular(count) if dice() < 0.6 else min(own + int(dice() * 12), count - 1)
            for _ in range(int(dice() * (most + 1)))
        }
        return [relative(ref(i), here) for i in sorted(chosen)]

    # ------------------------------------------------------------------------------------------------------ names
    def namespace(self, i: int, count: int) -> str:
        """The namespace of the repository that holds number ``i`` of ``count``."""
        return words.NAMESPACES[((i + 1) * self.repositories - 1) // count * 7 % len(words.NAMESPACES)]

    def component_ref(self, i: int) -> str:
        return f"{self.namespace(i, self.components)}/{_name(i, words.SUBJECTS, words.ROLES)}"

    def api_ref(self, i: int) -> str:
        return f"{self.namespace(i, self.apis)}/{_name(i, words.SUBJECTS, words.API_SUFFIXES)}"

    def resource_ref(self, i: int) -> str:
        return f"{self.namespace(i, self.resources)}/{_name(i, words.SUBJECTS, words.RESOURCE_SUFFIXES)}"

    def group_name(self, i: int) -> str:
        if i == 0:
            return "company"
        if i <= self.departments:
            return f"{_name(i, words.DOMAIN_NOUNS, ('department',))}"
        return _name(i, words.TEAM_NOUNS, ("team", "crew", "squad", "guild"))

    def repository_name(self, r: int) -> str:
        return _name(r, words.SUBJECTS, words.TEAM_NOUNS)

    # -------------------------------------------------------------------------------------------------- org, systems
    def group(self, i: int) -> str:
        name = self.group_name(i)
        kind, parent = "organization", ""
        if 0 < i < self.first_team:
            kind, parent = "department", "  parent: company\n"
        elif i:
            kind = "team"
            parent = f"  parent: {self.group_name(1 + i % self.departments if self.departments else 0)}\n"
        return (
            f"{_HEAD}Group\nmetadata:\n  name: {name}\n  description: {self.pick(words.PURPOSES)}\n"
            f"spec:\n  type: {kind}\n  profile:\n    displayName: {name.replace('-', ' ').capitalize()}\n"
            f"    email: {name}@example.com\n{parent}  children: []\n"
        )

    def user(self, i: int) -> str:
        name = _name(i, words.FIRST_NAMES, words.LAST_NAMES, ".")
        member_of = {self.team()} | ({self.team()} if self.dice() < 0.2 else set())
        return (
            f"{_HEAD}User\nmetadata:\n  name: {name}\n  annotations:\n"
            f"    backstage.io/ldap-dn: uid={name},ou=people,dc=example,dc=com\n"
            f"    microsoft.com/email: {name}@example.com\n"
            f"spec:\n  profile:\n    displayName: {name.replace('.', ' ').title()}\n    email: {name}@example.com\n"
            f"  memberOf: [{', '.join(self.group_name(team) for team in sorted(member_of))}]\n"
        )

    def domain(self, i: int) -> str:
        name = _name(i, words.DOMAIN_NOUNS, words.SYSTEM_NOUNS)
        return (
            f"{_HEAD}Domain\nmetadata:\n  name: {name}\n  description: {self.pick(words.PURPOSES)}\n"
            f"spec:\n  owner: {self.group_name(self.team())}\n  type: business\n"
        )

    def system(self, i: int) -> str:
        name = _name(i, words.TEAM_NOUNS, words.SYSTEM_NOUNS)
        domain = ""
        if self.domains:
            domain = f"  domain: {_name(i % self.domains, words.DOMAIN_NOUNS, words.SYSTEM_NOUNS)}\n"
        return (
            f"{_HEAD}System\nmetadata:\n  name: {name}\n{self.title(name)}"
            f"  description: {self.pick(words.PURPOSES)} {self.pick(words.PURPOSES)}\n{self.tags()}"
            f"spec:\n  owner: {self.group_name(self.team())}\n{domain}  type: product\n"
        )

    # -------------------------------------------------------------------------------------------------- repositories
    def repository(self, r: int) -> Iterator[str]:
        name, team = self.repository_name(r), self.team()
        namespace = words.NAMESPACES[r * 7 % len(words.NAMESPACES)]
        system = ""
        if self.systems:
            system = _name(r % self.systems, words.TEAM_NOUNS, words.SYSTEM_NOUNS)
            system = f"  system: {system if namespace == 'default' else f'default/{system}'}\n"
        start, stop, total = r, r + 1, self.repositories
        apis = range(start * self.apis // total, stop * self.apis // total)
        resources = range(start * self.resources // total, stop * self.resources // total)
        components = range(start * self.components // total, stop * self.components // total)
        for i in components:
            provides = apis[i - components.start :: len(components)]
            yield self.component(i, name, namespace, self.owner(team), system, provides)
        for i in apis:
            yield self.api(i, namespace, self.owner(team), system)
        for i in resources:
            yield self.resource(i, namespace, self.owner(team), system)

    def owner(self, team: int) -> str:
        """The reference of the repository's team, in 1 of 10 cases that of another team or of a person."""
        throw = self.dice()
        if throw < 0.04 and self.users:
            person = _name(int(self.dice() * self.users), words.FIRST_NAMES, words.LAST_NAMES, ".")
            return f"user:default/{person}"
        return f"group:default/{self.group_name(team if throw < 0.94 else self.team())}"

    def title(self, name: str) -> str:
        return f"  title: {name.replace('-', ' ').capitalize()}\n" if self.dice() < 0.3 else ""

    def tags(self) -> str:
        chosen = dict.fromkeys(words.TAGS[self.popular(len(words.TAGS))] for _ in range(int(self.dice() * 6)))
        return f"  tags: [{', '.join(chosen)}]\n" if chosen else ""

    def component(
        self, i: int, repository: str, namespace: str, owner: str, system: str, provides: Sequence[int]
    ) -> str:
        dice = self.dice
        name = _name(i, words.SUBJECTS, words.ROLES)
        kind = words.COMPONENT_TYPES[bisect(self.type_weights, dice() * self.type_weights[-1])]
        lifecycle = words.LIFECYCLES[bisect(self.lifecycle_weights, dice() * self.lifecycle_weights[-1])]
        annotations = f"    github.com/project-slug: example/{repository}\n"
        if dice() < 0.6:
            annotations += (
                f"    backstage.io/techdocs-ref: dir:.\n    sonarqube.org/project-key: example:{name}\n"
            )
        if kind in ("service", "website", "worker"):
            annotations += f"    argocd/app-name: {name}\n    backstage.io/kubernetes-id: {name}\n"
        if dice() < 0.4:
            annotations += f"    pagerduty.com/service-id: P{i:07X}\n    sentry.io/project-slug: {name}\n"
        if dice() < 0.3:
            annotations += (
                f"    grafana/dashboard-selector: \"folder == '{repository}' && tags @> '{kind}'\"\n"
            )
        consumes = self.refs(2, self.api_ref, self.apis, namespace, i * self.apis // self.components)
        depends = self.refs(2, self.component_dependency, i, namespace, max(i - 12, 0))
        runbook = ""
        if dice() < 0.5:
            runbook = (
                f"    - url: https://runbooks.example.com/{name}\n      title: Runbook\n      icon: help\n"
            )
        near = i * self.resources // self.components
        depends += self.refs(2, self.resource_dependency, self.resources, namespace, near)
        return (
            f"{_HEAD}Component\nmetadata:\n  name: {name}\n{_namespace(namespace)}{self.title(name)}"
            f"  description: {self.pick(words.PURPOSES)} {self.pick(words.PURPOSES)}\n"
            f"  annotations:\n{annotations}"
            f'  labels:\n    example.com/cost-centre: "{4000 + i % 60}"\n    example.com/tier: tier-{1 + i % 4}\n'
            f"{self.tags()}"
            f"  links:\n    - url: https://grafana.example.com/d/{name}\n      title: Dashboard\n{runbook}"
            f"spec:\n  type: {kind}\n  lifecycle: {lifecycle}\n  owner: {owner}\n{system}"
            + _list("providesApis", [relative(self.api_ref(api), namespace) for api in provides])
            + _list("consumesApis", consumes)
            + _list("dependsOn", depends)
        )

    def component_dependency(self, i: int) -> str:
        return f"component:{self.component_ref(i)}"

    def resource_dependency(self, i: int) -> str:
        return f"resource:{self.resource_ref(i)}"

    def api(self, i: int, namespace: str, owner: str, system: str) -> str:
        name = _name(i, words.SUBJECTS, words.API_SUFFIXES)
        lifecycle = words.LIFECYCLES[bisect(self.lifecycle_weights, self.dice() * self.lifecycle_weights[-1])]
        definition = openapi(name.partition("-")[0], name.replace("-", " ").capitalize(), self.dice)
        return (
            f"{_HEAD}API\nmetadata:\n  name: {name}\n{_namespace(namespace)}{self.title(name)}"
            f"  description: {self.pick(words.PURPOSES)}\n{self.tags()}"
            f"spec:\n  type: openapi\n  lifecycle: {lifecycle}\n  owner: {owner}\n{system}"
            f"  definition: |\n    " + definition[:-1].replace("\n", "\n    ") + "\n"
        )

    def resource(self, i: int, namespace: str, owner: str, system: str) -> str:
        name = _name(i, words.SUBJECTS, words.RESOURCE_SUFFIXES)
        kind = words.RESOURCE_TYPES[words.RESOURCE_SUFFIXES.index(name.split("-")[1])]
        # Only on earlier ones, so that there are no circles.
        depends = self.refs(1, self.resource_dependency, i, namespace, max(i - 12, 0))
        return (
            f"{_HEAD}Resource\nmetadata:\n  name: {name}\n{_namespace(namespace)}"
            f"  description: {self.pick(words.PURPOSES)}\n"
            f'  labels:\n    example.com/cost-centre: "{4000 + i % 60}"\n'
            f"{self.tags()}"
            f"spec:\n  type: {kind}\n  owner: {owner}\n{system}" + _list("dependsOn", depends)
        )


def relative(ref: str, namespace: str) -> str:
    """A reference without its namespace where that is the namespace it stands in, as people write it."""
    return ref.replace(f"{namespace}/", "", 1)


def _namespace(namespace: str) -> str:
    return "" if namespace == "default" else f"  namespace: {namespace}\n"


def _list(field: str, values: Sequence[str]) -> str:
    return f"  {field}:\n" + "".join(f"    - {value}\n" for value in values) if values else ""


def _name(i: int, first: Sequence[str], second: Sequence[str], joint: str = "-") -> str:
    """Name number ``i`` of two words, numbered from 2 on when the words are used up. No two numbers share a name."""
    size = len(first) * len(second)
    place = i * 733 % size  # a prime that divides no size, so that neighbours differ in both words
    name = f"{first[place % len(first)]}{joint}{second[place // len(first)]}"
    return name if i < size else f"{name}{joint}{i // size + 1}"
