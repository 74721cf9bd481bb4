"""Where a template is clicked: each link of a version by its place, with people and machines apart."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, F, Q

from messaging.models import Click, Delivery, Link, TemplateVersion


@dataclass(frozen=True)
class Spot:
    """One link of a version in one language. `people` clicked it (each counted once), `clicks` of people and of
    machines, `share` of all people's clicks of that language in percent."""

    locale: str
    position: int
    alias: str
    url: str
    people: int
    clicks: int
    machines: int
    share: float = 0.0


@dataclass(frozen=True)
class ClickMap:
    """The links of one version, in their order; how many messages of it were accepted, and how many were opened by
    people and by machines only."""

    version: TemplateVersion
    spots: list[Spot]
    sent: int
    opened: int
    opened_by_machines: int


def click_map(version: TemplateVersion) -> ClickMap:
    """Three statements, whatever the number of links."""
    mine = Delivery.objects.filter(version=version, ghost=False, state="accepted")
    opened = Count("pk", filter=Q(opened_at__isnull=False))
    human = Click.objects.filter(delivery__version=version, kind=Click.Kind.OPEN)
    counted = mine.aggregate(sent=Count("pk"), opened=opened)
    machines = human.filter(machine=True, delivery__opened_at=None).aggregate(n=Count("delivery", distinct=True))["n"]
    return ClickMap(version, _spots(version), counted["sent"], counted["opened"], machines)


def _spots(version: TemplateVersion) -> list[Spot]:
    """A place may have several rows, one for each set of UTM: they are one link to whoever reads the map."""
    human = Q(clicks__machine=False, clicks__why="")
    rows = (
        Link.objects.filter(version=version).order_by("locale", "position").values("locale", "position")
        .annotate(
            name=F("alias"),
            people=Count("clicks__delivery__profile", filter=human, distinct=True),
            human=Count("clicks", filter=human),
            machines=Count("clicks", filter=Q(clicks__machine=True)),
        )
    )  # fmt: skip
    found = list(rows.values_list("locale", "position", "name", "people", "human", "machines"))
    urls: dict[tuple[str, int], str] = {}
    for locale, position, url in Link.objects.filter(version=version).values_list("locale", "position", "url"):
        urls.setdefault((locale, position), url.partition("?")[0])
    totals: dict[str, int] = {}
    for locale, _, _, _, clicks, _ in found:
        totals[locale] = totals.get(locale, 0) + clicks
    return [
        Spot(locale, position, name, urls[locale, position], people, clicks, machines,
             100 * clicks / totals[locale] if totals[locale] else 0.0)
        for locale, position, name, people, clicks, machines in found
    ]  # fmt: skip
