"""Wiring of the admin: its first page, pages that belong to no model, and foreign models in our theme."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django_celery_beat.admin import ClockedScheduleAdmin as BaseClockedAdmin
from django_celery_beat.admin import CrontabScheduleAdmin as BaseCrontabAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BasePeriodicTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm as BasePeriodicTaskForm
from django_celery_beat.admin import TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from campaigns.admin import recipes, reports
from config import dashboard as first_page

FOREIGN = (User, Group, PeriodicTask, IntervalSchedule, CrontabSchedule, ClockedSchedule, SolarSchedule)

for model in FOREIGN:
    admin.site.unregister(model)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the theme calls for the index page."""
    return first_page.for_request(request, context)


def pages() -> list[URLPattern]:
    """Pages that belong to no model."""
    inside = admin.site.admin_view
    return [
        path("reports/", inside(reports.index), name="reports"),
        path("reports/<slug:key>/", inside(reports.report), name="report"),
        path("recipes/", inside(recipes.recipes), name="recipes"),
        path("recipes/<slug:key>/install/", inside(recipes.install), name="recipe_install"),
    ]


admin.site.extra_urls = pages  # type: ignore[attr-defined]
admin.site.index_title = _("Dashboard")
admin.site.enable_nav_sidebar = True


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """People who may log in. Give them a role; single permissions are the exception."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "first_name", "last_name", "is_active", "is_staff", "last_login"]
    show_full_result_count = False


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ModelAdmin):
    """Roles. The five that come with the product are set anew at every migration; add your own beside them."""

    show_full_result_count = False


class TaskWidget(UnfoldAdminSelectWidget, TaskSelectWidget):
    """The list of tasks, dressed."""


class PeriodicTaskForm(BasePeriodicTaskForm):
    """The timetable's form with our widgets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskWidget()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(BasePeriodicTaskAdmin, ModelAdmin):
    """The timetable. Rows of ours are written by the product; rows of an operator are never touched."""

    form = PeriodicTaskForm
    change_form_template = None  # its own holds an inline script, which the content policy does not run
    show_full_result_count = False


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ModelAdmin):
    """Every so often."""


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(BaseCrontabAdmin, ModelAdmin):
    """As cron does it."""


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(BaseClockedAdmin, ModelAdmin):
    """Once, at a time."""


@admin.register(SolarSchedule)
class SolarScheduleAdmin(ModelAdmin):
    """By the sun."""
