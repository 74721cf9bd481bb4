"""Reading the demo's mail in the browser. A mail's HTML is foreign: it is shown in a sandbox of its own."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from config.demo import mailbox

SANDBOX = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; img-src * data:; style-src 'unsafe-inline'"
)


def folder() -> Path:
    return Path(settings.VAR) / "mailbox"


@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """The newest hundred mails, or those whose recipient or subject contains ?q=."""
    wanted = request.GET.get("q", "").strip()
    mails = list(mailbox.latest(folder(), to=wanted))
    return render(request, "mailbox/inbox.html", {"mails": mails, "q": wanted, "total": len(mailbox.ids(folder()))})


@require_GET
def mail(request: HttpRequest, mail_id: str) -> HttpResponse:
    """One mail: its headers, its HTML in a sandboxed frame, its text."""
    message = _read(mail_id)
    context = {"id": mail_id, "headers": list(message.items()), "text": mailbox.part(message, "plain")}
    return render(
        request, "mailbox/mail.html", {**context, "subject": message["Subject"], "at": mailbox.at_of(mail_id)}
    )


@require_GET
@xframe_options_sameorigin
def body(request: HttpRequest, mail_id: str) -> HttpResponse:
    """The HTML part alone, for the frame: no script runs, links open outside."""
    html = '<base target="_blank">' + mailbox.part(_read(mail_id), "html")
    response = HttpResponse(html)
    response["Content-Security-Policy"] = SANDBOX
    response["Referrer-Policy"] = "no-referrer"
    return response


def _read(mail_id: str) -> EmailMessage:
    try:
        return mailbox.read(folder(), mail_id)
    except FileNotFoundError:
        raise Http404 from None
