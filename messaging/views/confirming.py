"""Double opt-in's page: GET shows what would be agreed to, POST agrees."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import now as clock_now
from messaging import asking, tokens
from messaging.models import Consent
from messaging.tokens import BadToken, Purpose
from messaging.views._reader import masked, topic_name
from messaging.views._request import language_of, not_found, page, proof_of, texts

ASK = {
    "title": ("One more step", "还差一步"),
    "lead": ("Shall we send “{topic}” to {address}?", "确认让我们向 {address} 发送“{topic}”吗？"),
    "button": ("Yes, please", "确认订阅"),
    "note": (
        "If you did not ask for this, just close the page: nothing will be sent.",
        "如果这不是您本人的操作，请直接关闭本页，我们不会发送任何内容。",
    ),
}
DONE = {
    "title": ("Thank you", "订阅成功"),
    "lead": ("We will send “{topic}” to {address}.", "我们会向 {address} 发送“{topic}”。"),
}
LATE = {
    "title": ("This link is too old", "链接已过期"),
    "lead": (
        "It was good for three days. Please sign up again, and we will send you a new one.",
        "链接有效期为三天。请重新订阅，我们会再发送一条确认消息。",
    ),
}


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """The question, and its answer. A link used twice says the same again and changes nothing."""
    try:
        named = tokens.read(Purpose.CONFIRM, token)
    except BadToken:
        return not_found(request)
    rows = Consent.objects.select_related("address", "profile").filter(address=named.address)
    pending = rows.filter(pk=named.delivery, action=Consent.Action.PENDING).first()
    if pending is None:
        return not_found(request)
    now = clock_now()
    language = language_of(request, pending.profile.locale if pending.profile else "")
    said = {"topic": topic_name(pending.topic, language), "address": masked(pending.address, language)}
    if not asking.is_good(pending, now):
        return page("notice", language=language, say=texts(LATE, language))
    if request.method == "POST" and request.POST.get("confirm") == "yes":
        asking.confirm(pending, now=now, evidence=proof_of(request, "confirmation page"))
        pending.address.refresh_from_db(fields=["consents"])
        agreed = pending.topic in pending.address.consents  # not so when a used link is pressed after a later no
        return page("notice", language=language, say=texts(DONE if agreed else LATE, language, **said))
    return page("confirm", language=language, say=texts(ASK, language, **said))
