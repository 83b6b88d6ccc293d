"""Who did what, and who may do what."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_date

from accounts.models import User
from recommendations.models import AuditEntry
from recommendations.roles import ABILITIES, ROLES
from recommendations.views.console.base import ConsolePage

PAGE = 100


class AuditLogView(ConsolePage):
    """The log, filtered."""

    permission = "recommendations.view_auditentry"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show a page of it."""
        asked = {
            name: request.GET.get(name, "").replace("\x00", "").strip()[:200]
            for name in ("actor", "source", "act", "words", "since", "until")
        }
        entries = AuditEntry.objects.matching(
            actor=asked["actor"], source=asked["source"], act=asked["act"], words=asked["words"]
        )
        since, until = _date(asked["since"]), _date(asked["until"])
        if since:
            entries = entries.filter(at__date__gte=since)
        if until:
            entries = entries.filter(at__date__lte=until)
        before = request.GET.get("before", "")
        if before.isascii() and before.isdigit() and len(before) < 18:
            entries = entries.filter(pk__lt=int(before))
        rows = list(entries.order_by("-pk")[: PAGE + 1])
        more = ""
        if len(rows) > PAGE:
            kept = {name: value for name, value in asked.items() if value}
            more = "?" + urlencode({**kept, "before": rows[PAGE - 1].pk})
        return self.render(
            "console/audit_log.html",
            {
                "entries": rows[:PAGE],
                "more": more,
                "asked": asked,
                "sources": AuditEntry.Source.choices,
            },
        )


def _date(text: str):
    try:
        return parse_date(text)
    except ValueError:
        return None


class RolesView(ConsolePage):
    """The roles, what each may do, and who has them."""

    permission = "auth.view_group"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show them."""
        people = list(
            User.objects.filter(is_staff=True).prefetch_related("groups").order_by("email")[:200]
        )
        groups = {group.name: group for group in Group.objects.filter(name__in=ROLES)}
        return self.render(
            "console/roles.html",
            {
                "roles": [
                    {
                        "name": name,
                        "words": role.words,
                        "group": groups.get(name),
                        "people": [
                            p for p in people if any(g.name == name for g in p.groups.all())
                        ],
                    }
                    for name, role in ROLES.items()
                ],
                "abilities": [
                    {
                        "words": ability.words,
                        "may": [ability.permission in role.permissions for role in ROLES.values()],
                    }
                    for ability in ABILITIES
                ],
                "superusers": [p for p in people if p.is_superuser],
                "without": [p for p in people if not p.is_superuser and not p.groups.all()],
            },
        )
