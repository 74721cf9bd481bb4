"""What the channel itself would refuse: too long for a robot, no JSON for a webhook, a header that breaks its line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from common.text import say
from messaging.channels import Outgoing, channels
from messaging.lints import Draft, Finding, Lint, Severity, lints

SOMEBODY = {"email": "somebody@example.com", "sms": "+8613800000000"}


@lints.register("limits")
class Limits(Lint):
    """An error when the channel says of the message for the sample data that it can never be sent."""

    key: ClassVar[str] = "limits"

    def find(self, draft: Draft) -> Iterator[Finding]:
        if draft.channel not in channels:
            return
        channel = channels.get(draft.channel)
        for locale, variant in draft.variants.items():
            if variant.rendered:
                to = SOMEBODY.get(draft.channel, "somebody")
                wrong = channel.check(Outgoing(ref="sample", to=to, to_name="", parts=variant.rendered, locale=locale))
                if wrong:
                    yield Finding(Severity.ERROR, _refused(wrong), locale)


def _refused(why: str) -> str:
    return say(f"the channel would not take it: {why}", f"渠道不会接受：{why}")
