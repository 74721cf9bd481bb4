"""Where people on an older version go when a new one is published: what may be suggested, and what stands against it.

Somebody who stands at a step that is the same in both (kind and parameters) stays there, with the wait as it runs.
Everywhere else they arrive anew: a wait begins again, a message is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from campaigns.graph import Graph, Node
from common.params import Problem

EXIT, STAY = "@exit", "@stay"
Plan = dict[str, dict[str, str]]  # version number as text → node → node of the new version, EXIT or STAY


@dataclass(frozen=True)
class Standing:
    """People on one older version at one node. `target` is where they would go, `same` when nothing changes for them
    there, `gone` when the new version has no such node."""

    version: int
    node: str
    people: int
    target: str
    same: bool
    gone: bool
    label: str = ""
    label_zh: str = ""


def is_same(old: Node, new: Node | None) -> bool:
    """Whether a person may go on standing there: one kind of step with the same parameters, hence the same ports."""
    return new is not None and old.type == new.type and old.params == new.params


def suggested(old: Graph | None, node: str, new: Graph) -> str:
    """Where people at a node would go: the node of that name if it is of one kind in both, else they finish on the
    version they are on (a step that is gone must be decided by a person)."""
    before, after = old.nodes.get(node) if old else None, new.nodes.get(node)
    return node if before is not None and after is not None and before.type == after.type else STAY


def complete(given: Mapping[str, Mapping[str, str]], olds: Mapping[int, Graph | None], new: Graph) -> Plan:
    """The plan for every node of every older version: what was said, else what is suggested."""
    plan: Plan = {}
    for number, old in olds.items():
        said = given.get(str(number), {})
        nodes = old.nodes if old else {}
        plan[str(number)] = {node: said.get(node, suggested(old, node, new)) for node in [*nodes, *said]}
    return plan


def problems(plan: Mapping[str, Mapping[str, str]], olds: Mapping[int, Graph | None], new: Graph) -> list[Problem]:
    """What keeps a plan from being carried out, each with its place ("1.remind")."""
    found = []
    for number, ways in plan.items():
        old = olds.get(int(number)) if number.isdigit() else None
        if not number.isdigit() or int(number) not in olds:
            found.append(Problem(number, _("nobody is on a version %(n)s") % {"n": number}))
            continue
        for node, target in ways.items():
            place = f"{number}.{node}"
            if target in (EXIT, STAY):
                continue
            if target not in new.nodes:
                found.append(Problem(place, _("there is no node '%(key)s'") % {"key": target}))
            elif old is not None and (split := _crosses(old, node, new, target)):
                said = {"split": split}
                found.append(Problem(place, _("lies in another arm of the split '%(split)s'") % said))
    return found


def cautions(plan: Mapping[str, Mapping[str, str]], olds: Mapping[int, Graph | None], new: Graph) -> list[Problem]:
    """What a person should know before a plan is carried out: waits that begin anew, messages that come again, draws
    that are made anew. Each with its place."""
    found = []
    for number, ways in plan.items():
        old = olds.get(int(number))
        for node, target in ways.items():
            if old is not None and target in new.nodes and node in old.nodes:
                found += [Problem(f"{number}.{node}", text) for text in _cautions(old, node, new, target)]
    return found


def _cautions(old: Graph, node: str, new: Graph, target: str) -> Iterator[str]:
    if target == node and is_same(old.nodes[node], new.nodes.get(target)):
        return
    if new.nodes[target].step.waits:
        yield _("the wait at '%(key)s' begins anew") % {"key": target}
    again = [key for key in _sends(new, target) if key in old.nodes and node in _reach(old, key)]
    if again:
        yield _("may get again: %(these)s") % {"these": ", ".join(again)}
    for key, one in new.nodes.items():
        before = old.nodes.get(key)
        if before is None or before.type != "split" or one.type != "split" or before.params.arms == one.params.arms:
            continue
        if node in _reach(old, key) and key in _reach(new, target, itself=True):
            yield _("is drawn anew at the split '%(key)s', whose arms differ") % {"key": key}


def _crosses(old: Graph, node: str, new: Graph, target: str) -> str:
    """The split whose arm a person would change, or ""."""
    for key, before in old.nodes.items():
        after = new.nodes.get(key)
        if before.type != "split" or after is None or after.type != "split":
            continue
        mine, theirs = _arm(old, key, node), _arm(new, key, target)
        if mine and theirs and mine != theirs:
            return key
    return ""


def _arm(graph: Graph, split: str, node: str) -> str:
    """The only arm of a split that leads to a node; "" when several do, or none."""
    ways = [port for port, to in graph.nodes[split].next.items() if node in _reach(graph, to, itself=True)]
    return ways[0] if len(ways) == 1 else ""


def _sends(graph: Graph, start: str) -> list[str]:
    """Messages that somebody who arrives at `start` gets before anything waits."""
    found, seen, todo = [], {start}, [start]
    while todo:
        node = graph.nodes[todo.pop()]
        if node.type == "send":
            found.append(node.key)
        if node.step.waits:
            continue
        todo += [to for to in node.next.values() if to not in seen]
        seen |= set(node.next.values())
    return found


def _reach(graph: Graph, start: str, *, itself: bool = False) -> set[str]:
    seen: set[str] = {start} if itself else set()
    todo = [start]
    while todo:
        fresh = set(graph.nodes[todo.pop()].next.values()) - seen
        seen |= fresh
        todo += fresh
    return seen
