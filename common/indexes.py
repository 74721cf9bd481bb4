"""Indexes that only PostgreSQL has; elsewhere they are left out of the schema."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement

NOTHING = "SELECT 1"


class JsonIndex(models.Index):
    """GIN over jsonb_path_ops: serves containment (`@>`), the form that equality on a trait compiles to."""

    suffix = "gin"

    def create_sql(self, model: Any, schema_editor: BaseDatabaseSchemaEditor, using: str = "", **kwargs: Any) -> Any:
        if schema_editor.connection.vendor != "postgresql":
            return Statement(NOTHING)
        return super().create_sql(model, schema_editor, using=" USING gin", **kwargs)

    def remove_sql(self, model: Any, schema_editor: BaseDatabaseSchemaEditor, **kwargs: Any) -> Any:
        if schema_editor.connection.vendor != "postgresql":
            return Statement(NOTHING)
        return super().remove_sql(model, schema_editor, **kwargs)
