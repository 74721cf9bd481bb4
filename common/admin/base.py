"""The base of every admin page: reading before writing, permission on each view, small pages, no wide counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import JSONField, Model, TextField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from common.admin.widgets import JsonField, SmallTextarea


@dataclass(frozen=True)
class Route:
    """What a view of ours asks for: its path below the model, its permission, its HTTP methods."""

    path: str
    permission: str
    methods: tuple[str, ...]


def route(
    where: str, permission: str, *, methods: tuple[str, ...] = ("POST",)
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Make a method of a `Page` a view at `where`. Without the permission 403, with another HTTP method 405.

    A change of state takes POST alone: Django's CSRF check then guards it.
    """

    def mark(method: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        allowed = (*methods, "HEAD") if "GET" in methods else methods

        @wraps(method)
        def view(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.has_perm(permission):
                raise PermissionDenied
            if request.method not in allowed:
                return HttpResponseNotAllowed(allowed)
            return method(self, request, *args, **kwargs)

        view.route = Route(where, permission, methods)  # type: ignore[attr-defined]
        return view

    return mark


class Page(ModelAdmin):
    """A model's pages. `hint` is the next step that an empty list offers; `route` marks views of its own."""

    hint: Any = ""
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    list_fullwidth = True
    compressed_fields = True
    warn_unsaved_form = True
    actions: Any = None
    formfield_overrides = {JSONField: {"form_class": JsonField}, TextField: {"widget": SmallTextarea}}

    def get_urls(self) -> list[URLPattern]:
        """The model's own views before Django's."""
        stem = f"{self.opts.app_label}_{self.opts.model_name}"
        own = []
        for name in dir(type(self)):
            spec: Route | None = getattr(getattr(type(self), name, None), "route", None)
            if isinstance(spec, Route):
                own.append(path(spec.path, self.admin_site.admin_view(getattr(self, name)), name=f"{stem}_{name}"))
        return own + list(super().get_urls())

    def find(self, request: HttpRequest, pk: int) -> Any:
        """The object of a view of ours, or 404."""
        found = self.get_queryset(request).filter(pk=pk).first()
        if found is None:
            raise Http404
        return found

    def page(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        """A page of our own inside the admin's frame."""
        return TemplateResponse(
            request, template, {**self.admin_site.each_context(request), "opts": self.opts, "title": title, **context}
        )

    def response_add(self, request: HttpRequest, obj: Model, post_url_continue: Any = None) -> HttpResponse:
        """Go on without what another page handed over in the address: it is saved, and would fill in again."""
        query = parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True)
        request.META["QUERY_STRING"] = urlencode([(name, value) for name, value in query if name.startswith("_")])
        answer: HttpResponse = super().response_add(request, obj, post_url_continue)
        return answer

    def back(self, request: HttpRequest, to: str, said: str = "", *, level: int = messages.SUCCESS) -> HttpResponse:
        """Say what happened and go there (a path of ours)."""
        if said:
            messages.add_message(request, level, said)
        return HttpResponseRedirect(iri_to_uri(to))


class ReadOnly:
    """For rows that the engine writes: nobody adds, changes or deletes them by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class NoDelete:
    """For things that others point at: they are archived, not deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class LargePage(Page):
    """A list over a table of millions: pages forward and back without ever counting the whole."""

    paginator = InfinitePaginator
    list_per_page = 40


def complain(request: HttpRequest, problems: list[Any]) -> None:
    """Show every problem at once."""
    for problem in problems:
        messages.error(request, str(problem))


def reason_of(request: HttpRequest) -> str:
    """The reason a person typed with an action; at most 200 characters."""
    return " ".join(request.POST.get("reason", "").replace("\x00", "").split())[:200]


def asked_reason(request: HttpRequest) -> str:
    """The same where one is required: a sentence is stored even if the box stayed empty."""
    return reason_of(request) or _("No reason given")
