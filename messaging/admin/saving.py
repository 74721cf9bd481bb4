"""Two editors at once: who saves says which draft was on the screen, and is told when it is no longer the last one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.utils import formats, timezone
from django.utils.translation import gettext

from messaging.admin.content import labelled
from messaging.revisions import compare


class RevisionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form of a row that has `revision` and `content`. It holds the row from the check to the save, so it wants a
    transaction; a draft that is only looked at (`checks` False) does not."""

    checks = True
    revision = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    overwrite = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    conflict: list[dict[str, Any]] | None = None  # what theirs and ours differ in, once there are two
    theirs: int = 0

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if not self.checks or not self.instance.pk:
            return data
        rows = type(self.instance)._default_manager.select_for_update(no_key=True)
        now = rows.filter(pk=self.instance.pk).values("revision", "content").first()
        seen = {self.cleaned_data.get("revision"), self.cleaned_data.get("overwrite")}
        if now is not None and now["revision"] not in seen:
            self.theirs = now["revision"]
            self.conflict = labelled(compare(now["content"], self.cleaned_data.get("content") or {}))
            raise ValidationError(self._who())
        return data

    def _who(self) -> str:
        """Who saved it meanwhile, and what can be done."""
        kind = ContentType.objects.get_for_model(type(self.instance))
        last = LogEntry.objects.filter(content_type=kind, object_id=str(self.instance.pk)).order_by("-pk").first()
        if last is None:
            return gettext("Somebody saved this while you were writing. Yours is not saved yet; it stands below.")
        said = {
            "who": last.user.get_username(),
            "when": formats.time_format(timezone.localtime(last.action_time), "H:i"),
        }
        text = gettext(
            "%(who)s saved this at %(when)s while you were writing. Yours is not saved yet; it stands below."
        )
        return text % said

    def save(self, commit: bool = True) -> Any:
        if self.checks:
            self.instance.revision = self.instance.revision + 1 if self.instance.pk else 0
        return super().save(commit)
