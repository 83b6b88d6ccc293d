"""How the console writes numbers and times."""

from datetime import datetime

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommendations.core.alarms import duration

register = template.Library()
NOTHING = "–"
MISSING = (None, "")
"""What a template has where a row or a measurement has nothing."""


@register.filter
def ago(at: datetime | None) -> SafeString | str:
    """Return how long ago a time was, with the exact time on hover."""
    if at in MISSING:
        return NOTHING
    seconds = (timezone.now() - at).total_seconds()
    words = "just now" if seconds < 5 else f"{duration(seconds)} ago"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        f"{at:%Y-%m-%d %H:%M:%S} UTC",
        words,
    )


@register.filter
def lasted(seconds: float | None) -> str:
    """Return a duration: milliseconds below a second, else seconds, minutes, hours."""
    if seconds in MISSING:
        return NOTHING
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return duration(seconds)


@register.filter
def ms(value: float | None) -> str:
    """Return milliseconds, exact enough to compare."""
    if value in MISSING:
        return NOTHING
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


@register.filter
def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent."""
    return NOTHING if share in MISSING else f"{100 * share:.{digits}f} %"


@register.filter
def decimal(value: float | None, digits: int = 3) -> str:
    """Return a number with so many decimals."""
    return NOTHING if value in MISSING else f"{value:,.{digits}f}"


@register.filter
def whole(value: float | None) -> str:
    """Return a whole number with its thousands apart."""
    return NOTHING if value in MISSING else f"{value:,.0f}"


@register.filter
def get(mapping: dict, key: object) -> object:
    """Return what a mapping has under a key, None if nothing."""
    return mapping.get(key)


@register.filter
def value(figure: object) -> object:
    """Return a figure's value."""
    return getattr(figure, "value", None)


@register.filter
def n(figure: object) -> object:
    """Return what a figure is a share of."""
    return getattr(figure, "n", None)


@register.simple_tag
def how(key: str, label: str) -> SafeString:
    """Return a link to how a number is computed."""
    return format_html(
        '<a class="how" href="{}#{}" title="How this is computed">{}</a>',
        reverse("definitions"),
        key,
        label,
    )
