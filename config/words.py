"""Words that the admin's theme marks for translation and ships without: our catalogue covers them.

django-unfold 0.91 brings no catalogue. What stands here is what its pages show and Django's own catalogue lacks;
the list exists only so that extraction finds it (a test renders every page in Chinese and looks for leftovers).
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

WORDS = (
    _("Select record"),
    _("Select action"),
    _("Collapse"),
    _("Value"),
    _("Default"),
    _("Code"),
    _("Current file"),
    _("From"),
    _("To"),
    _("Date from"),
    _("Date to"),
    _("Not enough data."),
    _("Add new item"),
    _("Link"),
    _("Edit"),
    _("Group"),
    _("Changes"),
    _("View traceback"),
    _("Choose a date from the list below to revert to a previous version of this object"),
    _("Select action to run"),
    _(
        "Raw passwords are not stored, so there is no way to see this user’s password, but you can change the "
        'password using <a href="{}" class="text-primary-600 dark:text-primary-500">this form</a>.'
    ),
    _("Select value"),
    _("Run"),
    _("After you've created a user, you’ll be able to edit more user options."),
    _("Expand row"),
    _("Welcome back to"),
    _("Welcome"),
    _("Type to search"),
    _("You have been successfully logged out from the administration"),
    _("No data"),
    _("More actions"),
    _("All applications"),
    _("True"),
    _("False"),
    _("Apply Filters"),
    _("Select all rows"),
    _("Recent searches"),
    _("No recent searches"),
    _("No results matching your query"),
    _("Loading more results..."),
    _("\n                Found %(counter)s result in %(time)s seconds\n            "),
    _("This item will be deleted."),
    _("Click to cancel"),
    _("No results found"),
    _("This page yielded into no results. Create a new item or reset your filters."),
    _("Reset filters"),
    _("Image preview"),
    _("Click to download"),
    _("Go back"),
    _("Previous"),
    _("Next"),
    _("Search apps and models..."),
    _("General"),
    _("Light"),
    _("Dark"),
    _("System"),
    _("Return to site"),
    _("Choose file to upload"),
    _("Toggle password visibility"),
    _("Add row"),
    _("Date"),
)
