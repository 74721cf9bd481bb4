"""How the API describes itself: each operation with its scope, and the two ways to say who asks."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_standardized_errors.openapi import AutoSchema

from common.scopes import SCOPES
from segments.api.auth import KeyAuthentication, StaffSession
from segments.api.own import PersonToken


class Described(AutoSchema):
    """Adds to each operation the scope that it takes."""

    def get_description(self) -> str:  # type: ignore[override]
        said: str = super().get_description() or ""
        scope = getattr(self.view, "scope", "")
        return f"{said}\n\nScope: `{scope}`. {SCOPES[scope].title}.".strip() if scope in SCOPES else said

    def _should_add_error_response(self, responses: dict[str, Any], status_code: str) -> bool:
        """Every operation may refuse in every way; only some change a state that can be wrong (409)."""
        if status_code in responses:
            return False
        return status_code != "409" or self.method == "POST"

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        scope = getattr(self.view, "scope", "")
        if operation is not None and scope:
            operation["x-scope"] = scope
        return operation


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema speaks of keys."""

    target_class = KeyAuthentication
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A key with the scope that the operation names."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema speaks of the browser session."""

    target_class = StaffSession
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "Staff in the browser; reads only.",
        }


class PersonScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema speaks of the tokens of people's own apps."""

    target_class = PersonToken
    name = "person"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A token from growth_token, for one person."}
