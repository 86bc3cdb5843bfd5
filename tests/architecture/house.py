"""The order of the house, and what refers to what by name rather than by import.

``lint-imports`` sees imports. This module sees the rest: templates that include each other, url names, static files,
models named in strings, migrations, module paths in strings. The order is the one in ``pyproject.toml``, so there is
only one.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Templates that belong to no app: the frame every page stands in. All may use them; they know no room.
SHELL = "shell"
#: What stands above or beside the catalog: the shell's templates must not know them.
ROOMS = frozenset({"catalog", "scaffolder", "scorecards", "runbooks"})


@dataclass(frozen=True)
class Reference:
    """One place that names something of another package.

    Attributes:
        path: file, relative to the root. line: counted from 1.
        source: package that the file belongs to, such as ``portal.audit``, or ``shell``.
        target: package that is named.
        text: the name as written.
    """

    path: str
    line: int
    source: str
    target: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.source} must not know {self.target} ({self.text})"


class House:
    """The packages below ``root`` and their order.

    Args:
        root: folder of the checkout.
        layers: lines of an import-linter layers contract, top first.
    """

    def __init__(self, root: Path, layers: list[str]) -> None:
        self.root = root
        self.rank: dict[str, int] = {}
        self.siblings_may_meet: dict[int, bool] = {}
        for height, line in enumerate(reversed(layers)):
            names = [name.strip(" ()") for name in re.split(r"[|:]", line)]
            self.siblings_may_meet[height] = ":" in line
            self.rank.update(dict.fromkeys(names, height))
        self.by_label = {name.rpartition(".")[2]: name for name in self.rank}

    @classmethod
    def of_this_project(cls) -> House:
        config = tomllib.loads((ROOT / "pyproject.toml").read_text())
        return cls(ROOT, config["tool"]["importlinter"]["contracts"][0]["layers"])

    def allows(self, source: str, target: str) -> bool:
        """Whether ``source`` may know ``target``: the same package, the shell, or something further down."""
        if source == target or target == SHELL:
            return True
        if source == SHELL:
            return target not in ROOMS
        above, below = self.rank[source], self.rank[target]
        return above > below or (above == below and self.siblings_may_meet[above])

    def package_of_module(self, dotted: str) -> str | None:
        """``portal.audit`` for ``portal.audit.services``; None for what is not ours."""
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            if (name := ".".join(parts[:end])) in self.rank:
                return name
        return None

    def package_of_file(self, path: Path) -> str | None:
        """The package a Python file, template or static file belongs to; None for tests, deploy and the like."""
        relative = path.relative_to(self.root)
        if relative.parts[0] == "templates":
            return self.by_label.get(relative.parts[1], SHELL) if len(relative.parts) > 2 else SHELL
        if relative.parts[0] == "static":
            return self.by_label.get(relative.parts[1])
        return self.package_of_module(".".join(relative.with_suffix("").parts))

    def package_of_template(self, name: str) -> str:
        """``catalog`` for ``catalog/index.html``; the shell for ``base.html``, ``includes/card.html`` and the like."""
        folder, slash, _ = name.partition("/")
        return self.by_label.get(folder, SHELL) if slash else SHELL

    def package_of_url_name(self, name: str) -> str | None:
        """``catalog`` for ``catalog:index`` and for ``admin:catalog_entity_change``; None for other people's names."""
        space, colon, rest = name.partition(":")
        if not colon:
            return None
        if space == "admin":
            labels = [label for label in self.by_label if rest.startswith(f"{label}_")]
            return self.by_label[max(labels, key=len)] if labels else None
        return self.by_label.get(space)

    # ------------------------------------------------------------------------------------------------------ reading

    def references(self) -> Iterator[Reference]:
        """Every reference by name from one package to another."""
        for folder in sorted({name.partition(".")[0] for name in self.rank}):
            for path in sorted((self.root / folder).rglob("*.py")):
                yield from self.in_python(path)
        for path in sorted(
            p for p in (self.root / "templates").rglob("*") if p.suffix in {".html", ".txt", ".svg"}
        ):
            yield from self.in_template(path)
        for package in self.rank:
            for path in sorted((self.root / package.replace(".", "/") / "templates").rglob("*.html")):
                yield from self.in_template(path)

    def violations(self) -> list[Reference]:
        """The references that point upward or sideways."""
        return [found for found in self.references() if not self.allows(found.source, found.target)]

    def in_template(self, path: Path) -> Iterator[Reference]:
        """References of one template: extends, include, url, static and load."""
        source = self.package_of_file(path) or SHELL
        libraries = self._tag_libraries()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for tag, name in _TEMPLATE_NAME.findall(line):
                target: str | None
                if tag == "url":
                    target = self.package_of_url_name(name)
                elif tag == "static":
                    target = self.by_label.get(name.partition("/")[0])
                else:
                    target = self.package_of_template(name)
                if target == "portal.web" and source == SHELL:
                    continue  # the shell's templates are the face of portal.web
                yield from self._reference(path, number, source, target, f"{tag} {name}")
            for names in _TEMPLATE_LOAD.findall(line):
                for library in names.split(" from ")[-1].split():
                    yield from self._reference(
                        path, number, source, libraries.get(library), f"load {library}"
                    )

    def in_python(self, path: Path) -> Iterator[Reference]:
        """References of one module by strings: urls, templates, models, migrations, module paths."""
        source = self.package_of_file(path)
        if source is None:
            return
        tree = ast.parse(path.read_text())
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield from self._in_call(path, source, node)
            elif isinstance(node, ast.Attribute) and node.attr == "AUTH_USER_MODEL":
                yield from self._reference(path, node.lineno, source, self.by_label.get("access"), node.attr)
            elif (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in documentation
            ):
                yield from self._in_string(path, source, node.lineno, node.value)
        if "migrations" in path.parts:
            yield from self._in_migration(path, source, tree)

    def _in_call(self, path: Path, source: str, call: ast.Call) -> Iterator[Reference]:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        given += [
            keyword.value.value
            for keyword in call.keywords
            if keyword.arg in {"to", "through"}
            and isinstance(keyword.value, ast.Constant)
            and isinstance(keyword.value.value, str)
        ]
        if name == "get_user_model":
            yield from self._reference(
                path, call.lineno, source, self.by_label.get("access"), "get_user_model()"
            )
        if name == "get_model" or name.endswith(("ForeignKey", "OneToOneField", "ManyToManyField")):
            for text in given[:1] + [text for text in given[1:] if "." in text]:
                label = text.partition(".")[0]
                yield from self._reference(path, call.lineno, source, self.by_label.get(label), text)

    def _in_string(self, path: Path, source: str, line: int, text: str) -> Iterator[Reference]:
        if _URL_NAME.fullmatch(text):
            yield from self._reference(path, line, source, self.package_of_url_name(text), text)
        elif _TEMPLATE_FILE.fullmatch(text):
            yield from self._reference(path, line, source, self.package_of_template(text), text)
        elif _MODULE_PATH.fullmatch(text) and self._is_module(text):
            yield from self._reference(path, line, source, self.package_of_module(text), text)

    def _in_migration(self, path: Path, source: str, tree: ast.Module) -> Iterator[Reference]:
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Tuple)
                and len(node.elts) == 2
                and all(isinstance(e, ast.Constant) and isinstance(e.value, str) for e in node.elts)
            ):
                label, name = (str(e.value) for e in node.elts if isinstance(e, ast.Constant))
                if re.fullmatch(r"\d{4}_\w+|__first__|__latest__", name):
                    yield from self._reference(
                        path, node.lineno, source, self.by_label.get(label), f"{label}.{name}"
                    )

    def _reference(
        self, path: Path, line: int, source: str, target: str | None, text: str
    ) -> Iterator[Reference]:
        if target is not None and target != source:
            yield Reference(str(path.relative_to(self.root)), line, source, target, text)

    def _is_module(self, dotted: str) -> bool:
        """Whether the name, or the name without its last part, is a module of this tree."""
        for name in (dotted, dotted.rpartition(".")[0]):
            place = self.root / name.replace(".", "/")
            if "." in name and (place.with_suffix(".py").exists() or (place / "__init__.py").exists()):
                return True
        return False

    def _tag_libraries(self) -> dict[str, str]:
        return {
            path.stem: name
            for name in self.rank
            for path in (self.root / name.replace(".", "/")).glob("templatetags/*.py")
            if path.stem != "__init__"
        }


_TEMPLATE_NAME = re.compile(r"""{%-?\s*(extends|include|url|static)\s+["']([^"']+)["']""")
_TEMPLATE_LOAD = re.compile(r"{%-?\s*load\s+([^%]+?)\s*-?%}")
_URL_NAME = re.compile(r"[a-z_]+:[a-z][a-z0-9_:-]*")
_TEMPLATE_FILE = re.compile(r"[\w./-]+\.(html|txt|svg)")
_MODULE_PATH = re.compile(r"[a-z_][a-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
