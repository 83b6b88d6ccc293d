"""How far a rebuild is: said in the cache, since nobody sees its transaction until it ends."""

from collections.abc import Callable

from django.core.cache import cache

from bandits.models import Bandit

_SECONDS = 600  # that a word on progress is believed


def tell_progress(bandit: Bandit) -> Callable[[float], None]:
    """Return what a rebuild calls with the share that is done."""
    return lambda share: cache.set(_key(bandit), share, timeout=_SECONDS)


def rebuild_words(bandit: Bandit) -> str:
    """Return what to say of a rebuild that is due or under way; empty where there is none."""
    if not bandit.rebuild_due:
        return ""
    share = cache.get(_key(bandit))
    done = "begins within seconds" if share is None else f"{share:.0%} done"
    return (
        f"What was learned is being computed anew for the new settings ({done}). "
        "Until then the old sums count."
    )


def _key(bandit: Bandit) -> str:
    return f"bandit-rebuild-{bandit.pk}-{bandit.version}"
