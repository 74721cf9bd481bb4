"""Lists of addresses that get nothing more, in and out as CSV.

In: a head of `channel` and `address` (or `digest`, from an export under the same key), perhaps `reason` and `note`. A
bad line fails alone, with its number and why. Out: keyed hashes, or the addresses we still have. No cell can run as a
formula.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from common.text import formula_safe, has_poison
from messaging.channels import channels
from messaging.models import Address, Suppression
from messaging.permission import digest, gravity
from messaging.retry import retrying

BATCH = 500
MOST_REJECTS = 1000
LONGEST = 2000  # characters of one line
HEAD = ("channel", "digest", "address", "reason", "at", "note")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BadFile(ValueError):
    """The file as a whole cannot be read."""


@dataclass(frozen=True)
class Line:
    """One good line: whom it stops, and why. `value` is "" when only the hash is known."""

    channel: str
    digest: str
    value: str
    reason: str
    note: str


@dataclass
class Taken:
    """What an import did: lines that were new (or graver than before), known already, and refused with why."""

    new: int = 0
    known: int = 0
    refused: int = 0
    rejects: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, number: int, why: str) -> None:
        self.refused += 1
        if len(self.rejects) < MOST_REJECTS:
            self.rejects.append((number, why))


def import_list(lines: Iterable[str], *, now: datetime, dry: bool = False) -> Taken:
    """Read a list and suppress what it names, in short transactions; the same list again changes nothing. `dry` only
    counts. Raises BadFile when there is no head that can be read."""
    taken, batch, hashed = Taken(), list[Line](), dict[str, dict[str, str]]()
    for number, row in _rows(lines):
        good = _read(row)
        if isinstance(good, str):
            taken.refuse(number, good)
            continue
        batch.append(good)
        if not good.value:
            hashed.setdefault(good.channel, {})[good.digest] = good.reason
        if len(batch) >= BATCH:
            _take(batch, taken, now, dry=dry)
            batch = []
    _take(batch, taken, now, dry=dry)
    if hashed and not dry:
        _find_hashed(hashed)
    return taken


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, str] | str]]:
    """Every line with its number in the file: cells by name, or what is wrong with it."""
    reader = csv.reader(line.replace("\x00", "\ufffd") for line in lines)
    try:
        head = [cell.strip().lower().lstrip("\ufeff") for cell in next(reader, [])]
    except csv.Error as error:
        raise BadFile(str(error)) from None
    if "channel" not in head or not {"address", "digest"} & set(head):
        raise BadFile(_("the first line must name channel and address (or digest)"))
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, str(error)
            continue
        if any(cells):
            yield reader.line_num, dict(zip(head, (cell.strip() for cell in cells), strict=False))


def _read(row: Mapping[str, str] | str) -> Line | str:
    """A good line, or why it is none."""
    if isinstance(row, str):
        return row
    channel, reason = row.get("channel", "").lower(), row.get("reason", "") or Suppression.Reason.MANUAL.value
    address, hashed = row.get("address", "").removeprefix("'"), row.get("digest", "").lower()
    if sum(map(len, row.values())) > LONGEST or any(has_poison(cell) for cell in row.values()):
        return _("the line is too long or has characters that cannot be kept")
    if channel not in channels or not channels.get(channel).needs_address:
        return _("no such channel: %(of)s") % {"of": channel[:40]}
    if reason not in Suppression.Reason.values:
        return _("no such reason: %(of)s") % {"of": reason[:40]}
    note = row.get("note", "")[:200]
    if not address:
        return Line(channel, hashed, "", reason, note) if _DIGEST.fullmatch(hashed) else _("no address, and no hash")
    one = channels.get(channel)
    value = one.address_of(dict.fromkeys(one.reads, address))
    if not value:
        return _("not an address of this channel: %(of)s") % {"of": address[:100]}
    return Line(channel, digest(channel, value), value, reason, note)


def _take(batch: Sequence[Line], taken: Taken, now: datetime, *, dry: bool) -> None:
    unique = {(line.channel, line.digest): line for line in batch}
    if not unique:
        return
    new = retrying(lambda: _write(unique, now, dry=dry))
    taken.new += new
    taken.known += len(batch) - new


def _write(lines: Mapping[tuple[str, str], Line], now: datetime, *, dry: bool) -> int:
    """Suppress the lines' addresses in one transaction: rows locked in the order of their ids, as the gate does."""
    with transaction.atomic():
        kept = {
            (row.channel, row.digest): row
            for row in Suppression.objects.filter(
                channel__in={channel for channel, _digest in lines}, digest__in=[hashed for _channel, hashed in lines]
            )
        }
        fresh = [line for key, line in lines.items() if key not in kept]
        graver = [
            line for key, line in lines.items() if key in kept and gravity(line.reason) > gravity(kept[key].reason)
        ]
        if dry:
            return len(fresh) + len(graver)
        owners = list(
            Address.objects.select_for_update(no_key=True)
            .filter(
                channel__in={line.channel for line in lines.values()}, value__in=[one.value for one in lines.values()]
            )
            .order_by("pk")
        )
        Suppression.objects.bulk_create(
            [
                Suppression(channel=one.channel, digest=one.digest, reason=one.reason, note=one.note, at=now)
                for one in fresh
            ],
            ignore_conflicts=True,
        )
        for line in graver:
            Suppression.objects.filter(channel=line.channel, digest=line.digest).update(
                reason=line.reason, note=line.note, at=now
            )
        reasons = {(line.channel, line.value): line.reason for line in [*fresh, *graver]}
        for owner in owners:
            owner.suppressed = reasons.get((owner.channel, owner.value), owner.suppressed)
        Address.objects.bulk_update(owners, ["suppressed"])
        return len(fresh) + len(graver)


def _find_hashed(hashed: Mapping[str, Mapping[str, str]]) -> None:
    """Addresses that we have and that a list names by their hash alone: one walk over the channel's addresses."""
    for channel, reasons in hashed.items():
        rows = Address.objects.filter(channel=channel, suppressed="").order_by("pk")
        last = 0
        while page := list(rows.filter(pk__gt=last).values_list("pk", "value")[: BATCH * 4]):
            last = page[-1][0]
            for pk, value in page:
                reason = reasons.get(digest(channel, value))
                if reason:
                    Address.objects.filter(pk=pk, suppressed="").update(suppressed=reason)


def export_list(*, addresses: bool = False) -> Iterator[str]:
    """The list as CSV lines: by hash, or (`addresses`) those that we still have by name. Memory flat."""
    yield _line(HEAD)
    if addresses:
        rows = Address.objects.exclude(suppressed="").order_by("pk")
        for channel, value, reason in rows.values_list("channel", "value", "suppressed").iterator(chunk_size=2000):
            yield _line([channel, digest(channel, value), value, reason, "", ""])
        return
    names = ("channel", "digest", "reason", "at", "note")
    for channel, hashed, reason, at, note in (
        Suppression.objects.order_by("pk").values_list(*names).iterator(chunk_size=2000)
    ):
        yield _line([channel, hashed, "", reason, at.isoformat(), note])


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([formula_safe(cell) for cell in cells])
    return out.getvalue()
