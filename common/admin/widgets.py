"""The JSON editor: it shows JSON as people read it and says where it is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminTextareaWidget

from common.text import has_poison


class OwnTemplate:
    """For widgets whose template lies with the admin's pages (Django's form renderer looks in apps only)."""

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        return render_to_string(template_name, context)


LONGEST = 400_000  # characters of JSON a form takes


class JsonEditor(UnfoldAdminTextareaWidget):
    """A monospaced box that keeps Tab and grows with its text (perennial/admin.js)."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs={"spellcheck": "false", "data-json": "", "rows": 4, **(attrs or {})})
        self.attrs["class"] = f"{self.attrs.get('class', '')} p-json-editor"


class SmallTextarea(UnfoldAdminTextareaWidget):
    """Three lines to begin with; it can be pulled longer."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs={"rows": 3, **(attrs or {})})


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def read_json(text: str) -> Any:
    """The value of a JSON text. Raises ValidationError that names line and column, or what cannot be stored."""
    if len(text) > LONGEST:
        raise ValidationError(_("This is longer than %(most)s characters.") % {"most": LONGEST})
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno, "why": error.msg}
        raise ValidationError(_("Not JSON at line %(line)s, column %(column)s: %(why)s") % place) from None
    except (ValueError, RecursionError):
        raise ValidationError(_("Not JSON: NaN, Infinity, or nested too deeply.")) from None
    if any(map(has_poison, _texts(value))):
        raise ValidationError(_("The text holds a character that cannot be stored (NUL or half a surrogate pair)."))
    return value


def _texts(value: Any) -> Iterator[str]:
    """Every string in a JSON value, names of members included."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            todo += [*one, *one.values()]
        elif isinstance(one, list):
            todo += one


class JsonField(forms.JSONField):
    """A form field for JSON: indented when shown, checked before it is stored."""

    widget = JsonEditor

    def __init__(self, **kwargs: Any) -> None:
        kwargs["widget"] = JsonEditor
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        """Raises ValidationError with the place of the mistake."""
        if self.disabled or value in self.empty_values:
            return None if value in self.empty_values else value
        return read_json(str(value))

    def clean(self, value: Any) -> Any:
        """An empty box of an optional field means an empty object, never null."""
        cleaned = super().clean(value)
        return {} if cleaned is None else cleaned

    def prepare_value(self, value: Any) -> str:
        if isinstance(value, InvalidJSONInput):
            return str(value)
        if isinstance(value, str):  # typed by a person, in a bound form
            return value
        return json.dumps(value, ensure_ascii=False, indent=2, cls=self.encoder)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed stays as it was typed, also when it is broken."""
        return initial if self.disabled else data

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(read_json(str(data or "{}")) != initial)
        except ValidationError:
            return True
