"""Push to the devices that a person registered: what such channels have in common, and one message to each of them.

A message that one device took is sent, and is not sent again for the others' sake; one that no device surely took is in
doubt as soon as one may have; it is tried again only when surely none took it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from messaging.channels import Answer, Bounce, Channel, Device, Limit, Outcome, Outgoing, Sender, _http, _push

Post = Callable[[Outgoing, Device], _http.Verdict]
NO_DEVICE = Answer(Outcome.PERMANENT, "no device")
ORDER = (Outcome.SENT, Outcome.UNKNOWN, Outcome.TRANSIENT, Outcome.PERMANENT)  # the first there is, is the message's


class PushToDevices(Channel):
    """A channel whose address is what the person's apps or browsers registered; `parts` and their size are push's."""

    parts: ClassVar[tuple[str, ...]] = _push.PARTS
    medium: ClassVar[str] = "push"
    registers: ClassVar[bool] = True
    limits: ClassVar[tuple[Limit, ...]] = (Limit("", _push.MOST),)

    def address_of(self, traits: Mapping[str, Any]) -> str:
        return ""

    def check(self, message: Outgoing) -> str:
        return _push.wrong(message.parts)


class Devices:
    """A connection that hands each message to the person's devices, one after another, by `post`."""

    def __init__(self, sender: Sender, post: Post) -> None:
        self._sender, self._post = sender, post
        self._stopped = False

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Answer]:
        for message in batch:
            yield _http.NOT_BEGUN if self._stopped else self._send_one(message)

    def _send_one(self, message: Outgoing) -> Answer:
        answers: list[Answer] = []
        gone: list[int] = []
        for device in message.devices:
            verdict = self._post(message, device)
            answers.append(verdict.answer)
            if verdict.answer.bounce is Bounce.HARD:
                gone.append(device.id)
            if verdict.refused:
                _http.note_refused(self._sender, verdict.answer.code)
            if verdict.stops:
                self._stopped = True
                break
        return merged(answers, gone)

    def close(self) -> None:
        """Nothing is kept open."""


def merged(answers: Sequence[Answer], gone: Sequence[int]) -> Answer:
    """The message's answer. A token that is gone is no bounce of the person's address."""
    if not answers:
        return NO_DEVICE
    outcome = next(one for one in ORDER if any(answer.outcome is one for answer in answers))
    alike = [answer for answer in answers if answer.outcome is outcome]
    times = [answer.retry_at for answer in alike if answer.retry_at is not None]
    count = f" ({len(alike)} of {len(answers)})" if len(answers) > 1 else ""
    return Answer(outcome, alike[0].code + count, alike[0].provider_ref, max(times, default=None), gone=tuple(gone))
