"""Rendering a group of messages in one request; what goes wrong with one is said of that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from messaging import links, utm
from messaging.feed.known import known
from messaging.render import kept
from messaging.render.contract import Rendered, RenderError, RenderJob
from messaging.render.finish import finish
from messaging.render.variables import as_json
from messaging.render.versions import Variant, Version, versions

Outcome = Rendered | RenderError


@dataclass(frozen=True)
class _Work:
    job: RenderJob
    version: Version
    variant: Variant
    variables: str


def render_group(jobs: Sequence[RenderJob]) -> list[Outcome]:
    """One Rendered or RenderError per job, in order. Raises nothing for a message's sake.

    Statements: one for versions not seen before, and one or two per UTM set not seen before.
    """
    known = versions({job.version for job in jobs})
    return render_with(known, jobs)


def render_with(known: dict[int, Version], jobs: Sequence[RenderJob]) -> list[Outcome]:
    """`render_group` with versions already in hand."""
    prepared = [_prepare(job, known.get(job.version)) for job in jobs]
    work = [one for one in prepared if isinstance(one, _Work)]
    sources = {one.variant.source.key: one.variant.source for one in work}
    answers = kept.render(sources, [(one.variant.source.key, one.variables) for one in work]) if work else []
    finished = iter([_finish(one, answer) for one, answer in zip(work, answers, strict=True)])
    return [one if isinstance(one, RenderError) else next(finished) for one in prepared]


def _prepare(job: RenderJob, version: Version | None) -> _Work | RenderError:
    if version is None:
        return RenderError("there is no such version")
    try:
        variant = version.variant(job.locale)
        return _Work(job, version, variant, as_json(_fed(job, variant), _locale(job.locale, variant.locale)))
    except RenderError as error:
        return error


def _fed(job: RenderJob, variant: Variant) -> Mapping[str, Any]:
    """The job's variables; who renders again what went out, without feeds, shows what they said last."""
    if not variant.feeds or "feeds" in job.context:
        return job.context
    return {**job.context, "feeds": known(variant.feeds, {**job.context, "locale": job.locale})}


def _locale(wished: str, chosen: str) -> str:
    """How values are written: as the person writes, if that is the language of the text."""
    wished = wished.replace("_", "-")
    same = wished.split("-")[0].lower() == chosen.replace("_", "-").split("-")[0].lower()
    return wished if same else chosen


def _finish(work: _Work, answer: kept.Answer) -> Outcome:
    if "error" in answer:
        return RenderError(answer["error"], permanent=not answer.get("later", False))
    job, version, variant = work.job, work.version, work.variant
    scope = f"{job.journey}:{job.node}" if job.journey else ""
    try:
        places = links.targets(version.id, variant.locale, variant.places, utm.named(job.utm), scope=scope)
        return finish(answer["done"], job, version, variant, places)
    except RenderError as error:
        return error
