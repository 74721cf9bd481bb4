"""Where facts come from, what was refused and why, and the traits learnt on the way."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.models.named import Named
from common.states import in_choices


class Source(Named):
    """A sender of facts: a website, a server, an import, or the engine itself.

    `filled_until` is the bucket of `calls_a_minute` (common.rates).
    """

    class Kind(models.TextChoices):
        HTTP = "http", _("HTTP")
        IMPORT = "import", _("import")
        ENGINE = "engine", _("engine")

    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    lenient = models.BooleanField(_("lenient"), default=False, help_text=_("Repair broken text instead of refusing it"))
    browser = models.BooleanField(
        _("browser key"), default=False, help_text=_("Write only: sets no money and no known person")
    )
    calls_a_minute = models.PositiveIntegerField(
        _("calls a minute"),
        null=True,
        blank=True,
        help_text=_("More are answered with 429, and senders try again. Empty: no limit; 0: none is taken."),
    )
    filled_until = models.DateTimeField(null=True, editable=False)
    last_seen_at = models.DateTimeField(_("last fact"), null=True, blank=True)

    class Meta:
        verbose_name = _("source")
        verbose_name_plural = _("sources")
        constraints = [in_choices("source_kind", "kind", ["http", "import", "engine"])]


class RejectedRow(models.Model):
    """One row that could not be taken in: its text, where it was, and what was wrong with it."""

    source = models.ForeignKey(Source, models.CASCADE, related_name="rejected")
    job = models.ForeignKey("ImportJob", models.CASCADE, null=True, blank=True, related_name="rejected")
    received_at = models.DateTimeField(_("received"), db_index=True)
    line = models.BigIntegerField(_("line"), null=True, blank=True)
    code = models.CharField(_("code"), max_length=40)
    path = models.CharField(_("where"), max_length=200, blank=True)
    reason = models.TextField(_("reason"))
    payload = models.TextField(_("row"))
    replayed_at = models.DateTimeField(_("replayed"), null=True, blank=True)
    replayed_as = models.CharField(_("result of the replay"), max_length=40, blank=True, db_default="")

    class Meta:
        verbose_name = _("rejected row")
        verbose_name_plural = _("rejected rows")

    def __str__(self) -> str:
        return f"{self.code} {self.path}"


class ImportJob(models.Model):
    """One run of a file import: resumable from `rows_done`."""

    class Kind(models.TextChoices):
        PROFILES = "profiles", _("people")
        ORDERS = "orders", _("orders")
        EVENTS = "events", _("events")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    MOVES = {
        "waiting": frozenset({"running", "cancelled"}),
        "running": frozenset({"done", "failed", "cancelled", "running"}),
        "failed": frozenset({"running"}),
        "cancelled": frozenset({"running"}),
        "done": frozenset[str](),
    }

    source = models.ForeignKey(Source, models.PROTECT, related_name="jobs")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    file = models.CharField(_("file"), max_length=400)
    fingerprint = models.CharField(max_length=64, db_index=True)
    mapping = models.JSONField(_("mapping"), default=dict)
    historical = models.BooleanField(_("history"), default=True)
    dry_run = models.BooleanField(_("dry run"), default=False)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.WAITING)
    rows_total = models.BigIntegerField(_("rows"), null=True)
    rows_done = models.BigIntegerField(_("done"), default=0)
    rows_stored = models.BigIntegerField(_("stored"), default=0)
    rows_known = models.BigIntegerField(_("already known"), default=0)
    rows_rejected = models.BigIntegerField(_("rejected"), default=0)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    error = models.TextField(_("error"), blank=True)
    report = models.JSONField(_("report"), default=dict)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        constraints = [
            in_choices("import_state", "state", ["waiting", "running", "done", "failed", "cancelled"]),
            in_choices("import_kind", "kind", ["profiles", "orders", "events"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.file}"


class Trait(models.Model):
    """A trait seen in the data: its learnt type, which a person may correct."""

    class Type(models.TextChoices):
        STRING = "string", _("text")
        NUMBER = "number", _("number")
        BOOLEAN = "boolean", _("yes or no")
        DATE = "date", _("date")
        LIST = "list", _("list")

    key = models.CharField(_("key"), max_length=64, unique=True)
    type = models.CharField(_("type"), max_length=8, choices=Type)
    corrected = models.BooleanField(_("corrected by a person"), default=False)
    personal = models.BooleanField(_("personal data"), default=False)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    examples = models.JSONField(_("examples"), default=list, blank=True)

    class Meta:
        verbose_name = _("trait")
        verbose_name_plural = _("traits")
        constraints = [in_choices("trait_type", "type", ["string", "number", "boolean", "date", "list"])]

    def __str__(self) -> str:
        return self.key


class EventProperty(models.Model):
    """One property of one event, in one type, as the data showed it; `key` is "" for the event itself."""

    event = models.CharField(_("event"), max_length=200)
    key = models.CharField(_("property"), max_length=64, blank=True)
    type = models.CharField(_("type"), max_length=8, blank=True)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("event property")
        verbose_name_plural = _("event properties")
        constraints = [models.UniqueConstraint(fields=["event", "key", "type"], name="event_property_once")]

    def __str__(self) -> str:
        return f"{self.event}.{self.key}: {self.type}"


class ModelSync(models.Model):
    """How far one mapping of a host's model has been read: the row after (`watermark`, `last_pk`) is the next."""

    key = models.SlugField(_("key"), max_length=80, unique=True)
    digest = models.CharField(max_length=64)
    watermark = models.CharField(max_length=64, blank=True)
    last_pk = models.CharField(max_length=64, blank=True)
    rows_done = models.BigIntegerField(_("done"), default=0)
    rows_stored = models.BigIntegerField(_("stored"), default=0)
    rows_known = models.BigIntegerField(_("already known"), default=0)
    rows_rejected = models.BigIntegerField(_("rejected"), default=0)
    moved_at = models.DateTimeField(_("moved"), null=True)

    class Meta:
        verbose_name = _("model sync")
        verbose_name_plural = _("model syncs")

    def __str__(self) -> str:
        return self.key
