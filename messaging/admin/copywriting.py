"""Copy drafts in the admin: the brand's voice, asking, what was proposed with its findings, and who approved it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from common import clock
from common.admin import Page, ReadOnly, reason_of, route, show
from common.admin.widgets import OwnTemplate
from common.params import Invalid
from messaging.admin.content import LABELS
from messaging.copywriting.asking import MOST_VARIANTS, ask_for_copy, said_of, spent
from messaging.copywriting.deciding import approve, refuse, use
from messaging.copywriting.kinds import words_of
from messaging.copywriting.wire import is_configured
from messaging.models import CopyDraft, CopyRequest, Template, Voice
from segments.models import Segment

NAMES = {**LABELS, "heading": _("Heading"), "paragraphs": _("Paragraphs"), "button": _("Button")}
MOST_SEGMENTS = 200


class Choices(OwnTemplate, forms.CheckboxSelectMultiple):
    """Plain checkboxes, one below the other."""

    template_name = "admin/widgets/choices.html"


class AskForm(forms.Form):
    """What is to be written, in which languages, for whom."""

    template = forms.ModelChoiceField(
        label=_("template"), queryset=Template.objects.filter(archived=False), widget=UnfoldAdminSelectWidget()
    )
    locales = forms.MultipleChoiceField(label=_("languages"), widget=Choices())
    segments = forms.MultipleChoiceField(
        label=_("segments"), required=False, widget=Choices(), help_text=_("None: one text for everybody")
    )
    brief = forms.CharField(
        label=_("brief"), required=False, max_length=1000, widget=UnfoldAdminTextareaWidget(),
        help_text=_("What it should say and what not. Nothing about single people: it leaves the house."),
    )  # fmt: skip
    wanted = forms.IntegerField(
        label=_("variants"), initial=3, min_value=1, max_value=MOST_VARIANTS, widget=UnfoldAdminIntegerFieldWidget()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Segment.objects.order_by("name")[:MOST_SEGMENTS]
        self.fields["segments"].choices = [(row.key, row.title) for row in rows]  # type: ignore[attr-defined]
        self.fields["locales"].choices = [(one, one) for one in settings.MESSAGE_LOCALES]  # type: ignore[attr-defined]
        self.fields["locales"].initial = settings.MESSAGE_LOCALES


@admin.register(Voice)
class VoiceAdmin(Page):
    """How the brand speaks, one text per language."""

    hint = _("Say in a few sentences how your brand speaks: to whom, in which tone, which words it avoids.")
    list_display = ["locale", "beginning", "updated_at"]
    fields = ["locale", "text"]

    @admin.display(description=_("voice"))
    def beginning(self, voice: Voice) -> str:
        return voice.text[:120]


@admin.register(CopyRequest)
class CopyRequestAdmin(ReadOnly, Page):
    """What was asked of the model, word for word, and what it proposed. Nothing is used before a person approves it."""

    hint = _(
        "Nothing has been asked. Copy drafts are off until COPY_URL and COPY_MODEL are set; then ask for some here."
    )
    list_display = [
        "asked_at",
        "template",
        "locale",
        "segment",
        "the_state",
        "proposals",
        "model",
        "tokens",
        "asked_by",
    ]
    list_filter = [("state", ChoicesDropdownFilter), ("locale", FieldTextFilter), ("segment", FieldTextFilter)]
    list_select_related = ["template", "asked_by"]
    search_fields = ["template__key", "template__name", "digest"]
    ordering = ["-id"]
    list_before_template = "admin/messaging/copy/before.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("drafts")

    @route("ask/", "messaging.ask_copyrequest", methods=("GET", "POST"))
    def ask(self, request: HttpRequest) -> HttpResponse:
        """The form; by POST one question per segment and language, which a worker asks within seconds."""
        form, now = (
            AskForm(request.POST or None, initial={"template": request.GET.get("template", "")[:18]}),
            clock.now(),
        )
        if request.method == "POST" and form.is_valid():
            said = form.cleaned_data
            try:
                rows = ask_for_copy(
                    said["template"], locales=said["locales"], segments=said["segments"], brief=said["brief"],
                    wanted=said["wanted"], now=now, by=request.user,
                )  # fmt: skip
            except Invalid as error:
                for problem in error.problems:
                    form.add_error(problem.path if problem.path in form.fields else None, problem.message)
            else:
                text = gettext("Asked: %(n)s. The answers appear here within a minute or two.") % {"n": len(rows)}
                return self.back(request, reverse("admin:messaging_copyrequest_changelist"), text)
        return self.page(
            request, "admin/messaging/copy/ask.html", gettext("Ask for copy"), form=form, ready=is_configured(),
            spent=spent(now), most_tokens=settings.COPY_DAY_TOKENS, most_requests=settings.COPY_DAY_REQUESTS,
            model=settings.COPY_MODEL,
        )  # fmt: skip

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """One question with its variants side by side."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        drafts = [_shown(row, draft) for draft in row.drafts.select_related("decided_by", "used_by")]
        return self.page(
            request, "admin/messaging/copy/page.html", str(row), original=row, row=row, drafts=drafts,
            state=_state(row), prompt=row.prompt, email=row.template.channel == "email",
        )  # fmt: skip

    @route("draft/<int:pk>/approve/", "messaging.approve_copydraft")
    def approve(self, request: HttpRequest, pk: int) -> HttpResponse:
        draft = _draft(pk)
        try:
            done = approve(draft, now=clock.now(), by=request.user)
        except Invalid as error:
            for problem in error.problems:
                messages.error(request, str(problem))
            return self.back(request, _page(draft))
        return self._said(request, draft, done, gettext("Approved. An author may put it into the draft."))

    @route("draft/<int:pk>/refuse/", "messaging.approve_copydraft")
    def refuse(self, request: HttpRequest, pk: int) -> HttpResponse:
        draft = _draft(pk)
        done = refuse(draft, now=clock.now(), by=request.user, reason=reason_of(request))
        return self._said(request, draft, done, gettext("Refused."))

    @route("draft/<int:pk>/use/", "messaging.change_template")
    def use(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Into the template's draft: its lines, or with whole=yes the page as well."""
        draft = _draft(pk)
        try:
            done = use(draft, whole=request.POST.get("whole") == "yes", now=clock.now(), by=request.user)
        except Invalid as error:
            return self.back(request, _page(draft), str(error), level=messages.ERROR)
        if not done:
            return self._said(request, draft, done, "")
        where = reverse("admin:messaging_template_change", args=[draft.request.template_id])
        return self.back(request, where, gettext("The words are in the draft. Look at it, and publish."))

    def _said(self, request: HttpRequest, draft: CopyDraft, done: bool, text: str) -> HttpResponse:
        if done:
            return self.back(request, _page(draft), text)
        late = gettext("It is decided already, or not approved.")
        return self.back(request, _page(draft), late, level=messages.WARNING)

    @admin.display(description=_("state"))
    def the_state(self, row: CopyRequest) -> SafeString | str:
        return _state(row)

    @admin.display(description=_("proposed · approved · used"))
    def proposals(self, row: CopyRequest) -> str:
        states = [draft.state for draft in row.drafts.all()]
        return " · ".join(str(states.count(one)) for one in ("proposed", "approved", "used"))


def _state(row: CopyRequest) -> SafeString | str:
    """The state as a pill; "answered" alone would read as a time."""
    if row.state == CopyRequest.State.ANSWERED:
        return show.pill("done", gettext("the answer is there"))
    return show.state_of(row)


def _draft(pk: int) -> CopyDraft:
    found = CopyDraft.objects.select_related("request__template__topic", "request__template__layout").filter(pk=pk)
    row = found.first()
    if row is None:
        raise Http404
    return row


def _page(draft: CopyDraft) -> str:
    return reverse("admin:messaging_copyrequest_change", args=[draft.request_id])


def _shown(row: CopyRequest, draft: CopyDraft) -> dict[str, Any]:
    """A variant as a card: its words in order, what the lints say now, and what may be done."""
    words = [(NAMES.get(name, name), draft.parts.get(name)) for name in words_of(row.template.channel)]
    open_ = draft.state in ("proposed", "approved")
    return {
        "draft": draft,
        "state": show.state_of(draft),
        "words": [(name, value if isinstance(value, list) else [value]) for name, value in words if value],
        "findings": said_of(row, draft.parts) if open_ else draft.findings,
        "decided": draft.state != "proposed",
    }
