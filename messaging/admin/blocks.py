"""Blocks and layouts in the admin: their words by language, where they are used, and what a change would change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter

from common.admin import NoDelete, Page, route
from messaging.admin.content import ContentField, parse
from messaging.admin.saving import RevisionForm
from messaging.blocks import CONTENT, FORMS, NAME, digest_of_block, used_by
from messaging.models import Block
from messaging.render.cell import guard
from messaging.render.words import translated


class BlockForm(RevisionForm):
    """A block's words. What is wrong with them is told here as far as it can be seen without a template."""

    content = ContentField(label="", required=False)

    class Meta:
        model = Block
        fields = ["name", "name_zh", "key", "kind", "archived", "content"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "content" in self.fields:
            self.fields["content"].widget.parts = FORMS

    def clean_key(self) -> str:
        key = str(self.cleaned_data["key"])
        if not NAME.match(key):
            raise ValidationError(
                gettext("Small letters, digits and _ only, a letter first: templates say blocks.key.")
            )
        return key

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        content = self.cleaned_data.get("content") or {}
        wrong = [
            f"{locale}, {form}: {gettext('line %(line)s') % {'line': fault.line}}: {translated(fault.message)}"
            for locale, forms in content.items()
            for form, text in forms.items()
            for fault in guard.check(text, html=form != "text")
        ]
        if self.cleaned_data.get("kind") == Block.Kind.LAYOUT:
            wrong += [
                gettext("%(where)s: a layout says {{ content }} where the words go") % {"where": f"{locale}, {form}"}
                for locale, forms in content.items()
                for form, text in forms.items()
                if not CONTENT.search(text)
            ]
        if wrong:
            self.add_error("content", ValidationError([ValidationError(one) for one in wrong]))
        return data


@admin.register(Block)
class BlockAdmin(NoDelete, Page):
    """Words that templates share. A published version keeps what its blocks said; a change waits for the next."""

    hint = _("No block yet. What every message says, such as its footer, is written once here, and templates name it.")
    form = BlockForm
    list_display = ["title", "key", "kind", "languages", "updated_at"]
    list_filter = [("kind", ChoicesDropdownFilter), ("archived", BooleanRadioFilter)]
    search_fields = ["key", "name", "name_zh"]
    ordering = ["kind", "key"]
    change_form_template = "admin/messaging/block/change_form.html"
    fieldsets = [
        (None, {"fields": ["name", "name_zh", "key", "kind", "archived"]}),
        (_("The words"), {"fields": ["content"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    @route("<int:pk>/uses/", "messaging.view_block", methods=("GET",))
    def uses(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Which templates use it, in their draft and as published; an htmx fragment."""
        return self._used(request, self.find(request, pk), None)

    @route("<int:pk>/reach/", "messaging.change_block")
    def reach(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The same for the text on the screen: which templates would change."""
        return self._used(request, self.find(request, pk), parse(request.POST, "content"))

    def _used(self, request: HttpRequest, found: Block, content: Any) -> HttpResponse:
        rows = used_by(found, content)
        changed = content is not None and digest_of_block(content) != digest_of_block(found.content)
        context = {"block": found, "uses": rows, "stale": sum(row.stale for row in rows), "changed": changed}
        return TemplateResponse(request, "admin/messaging/block/uses.html", context)

    @admin.display(description=_("name"), ordering="name")
    def title(self, found: Block) -> str:
        return found.title

    @admin.display(description=_("languages"))
    def languages(self, found: Block) -> str:
        return ", ".join(found.content) or "–"
