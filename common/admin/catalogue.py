"""What may be written in an editor: every plug-in of a family with its parameters, read from the plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.registry import Registry


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, the kind of value, whether it must be given, what it is by default."""

    name: str
    kind: str
    required: bool
    default: str


@dataclass(frozen=True)
class Block:
    """One plug-in as an operator meets it in JSON."""

    key: str
    family: str
    about: str
    parameters: tuple[Parameter, ...]


def blocks_of(registry: Registry[Any]) -> list[Block]:
    """Every plug-in of the registry, in its order."""
    return [_block(key, plugin) for key, plugin in registry.items()]


def _block(key: str, plugin: Any) -> Block:
    schema = plugin.Params.model_json_schema()
    needed = set(schema.get("required", ()))
    defs = schema.get("$defs", {})
    parameters = tuple(
        Parameter(name, _kind(spec, defs), name in needed, _default(spec))
        for name, spec in schema.get("properties", {}).items()
    )
    about = (type(plugin).__doc__ or "").strip().split("\n")[0]
    return Block(key, str(getattr(plugin, "family", "")), about, parameters)


def _kind(spec: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """The kind of value in words of JSON: text, number, list of text, one of a few."""
    if "$ref" in spec:
        return _kind(defs.get(str(spec["$ref"]).rsplit("/", 1)[-1], {}), defs)
    if "enum" in spec:
        return " | ".join(map(str, spec["enum"]))
    if "const" in spec:
        return str(spec["const"])
    if "anyOf" in spec:
        kinds = [_kind(one, defs) for one in spec["anyOf"] if one.get("type") != "null"]
        return " | ".join(dict.fromkeys(kinds))
    if spec.get("type") == "array":
        return f"[{_kind(spec.get('items', {}), defs)}]"
    return {"string": "text", "integer": "number", "boolean": "true | false", "object": "{…}"}.get(
        str(spec.get("type", "")), str(spec.get("type", "any"))
    )


def _default(spec: Mapping[str, Any]) -> str:
    value = spec.get("default")
    return "" if value in (None, "", [], {}) else str(value)
