"""Door 3, the auditor's: records to read, actions that call lifecycle; a status is never edited here."""

from django.contrib import admin

from . import events, execs, people, recordings, sandbox, webhooks  # noqa: F401  # each registers its models
from .base import ReadOnly
from .recorded import Recorded

__all__ = ["ReadOnly", "Recorded"]

admin.site.site_header = "Sandboxes"
admin.site.site_title = "Sandboxes"
admin.site.index_title = "Records and audit trail"
admin.site.site_url = "/sandboxes/"
admin.site.enable_nav_sidebar = False
"""Django's opens by script, which pushes every page aside once it is drawn; Home has the same links."""
