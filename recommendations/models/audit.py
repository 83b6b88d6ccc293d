"""Who did what, and who looked at whom. Append-only: the database refuses the rest."""

import json
from typing import Self

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import timezone


def _words_of(message: str) -> str:
    """Return the admin's message as words; it is JSON for forms and plain for actions."""
    try:
        acts = json.loads(message)
    except ValueError:
        return message
    if not isinstance(acts, list):
        return message
    words = []
    for act in acts:
        for verb, what in act.items() if isinstance(act, dict) else ():
            fields = ", ".join(what.get("fields", ())) if isinstance(what, dict) else ""
            name = what.get("object", "") if isinstance(what, dict) else ""
            words.append(" ".join(part for part in (verb, name, fields) if part))
    return "; ".join(words)


def _short(value: object) -> str:
    text = "nothing" if value in (None, "", [], {}) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Reads of the log."""

    def matching(
        self, *, actor: str = "", source: str = "", act: str = "", words: str = ""
    ) -> Self:
        """Return the entries of an actor, a source, an act, with these words about what."""
        entries = self
        if actor:
            entries = entries.filter(actor__icontains=actor)
        if source:
            entries = entries.filter(source=source)
        if act:
            entries = entries.filter(act=act)
        if words:
            entries = entries.filter(
                models.Q(subject__icontains=words) | models.Q(words__icontains=words)
            )
        return entries


class AuditEntry(models.Model):
    """One act.

    Most rows are written by triggers, so that no code can forget them: one on the admin's own log,
    one on every table of history.  It names people by value, not by key, so that it outlives them.
    """

    class Source(models.TextChoices):
        """Who wrote the row."""

        CONSOLE = "console", "a page of the console"
        ADMIN = "admin", "the admin"
        HISTORY = "history", "a change of a row that keeps its history"

    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=254, blank=True, help_text="empty for the system itself")
    source = models.CharField(max_length=10, choices=Source.choices)
    act = models.CharField(max_length=40, help_text="added, changed, deleted, or the act's name")
    subject_type = models.CharField(max_length=100, help_text="app.model")
    subject = models.CharField(max_length=200, help_text="what, in words")
    subject_key = models.CharField(max_length=255, blank=True)
    words = models.TextField(blank=True, help_text="reason, or which fields")
    details = models.JSONField(default=dict)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "audit entries"
        indexes = [BrinIndex(fields=["at"]), models.Index(fields=["subject_type", "subject_key"])]
        permissions = [
            ("inspect_listener", "Can look into one listener's taste, history and lists"),
        ]

    def __str__(self) -> str:
        return f"{self.actor or 'the system'} {self.act} {self.subject}"

    @property
    def in_particular(self) -> str:
        """What was changed, in words: the reason, and each field's old and new value."""
        parts = [_words_of(self.words)] if self.words else []
        for name, values in self.details.items():
            if isinstance(values, list) and len(values) == 2:
                parts.append(f"{name}: {_short(values[0])} → {_short(values[1])}")
        return "; ".join(part for part in parts if part)
