"""Writes: deciding, crediting rewards, learning from them, and the operator's acts."""

from bandits.services.control import (
    SETTINGS,
    add_arm,
    change_settings,
    pin,
    reset,
    restore,
    set_status,
    unpin,
)
from bandits.services.deciding import (
    Choice,
    choose,
    decision_of,
    record_decision,
)
from bandits.services.errors import BanditRuleViolation
from bandits.services.learning import closed_form, fold, rebuild
from bandits.services.progress import rebuild_words, tell_progress
from bandits.services.reporting import take_snapshot
from bandits.services.rewards import credit, expire, windows
from bandits.services.verifying import Verification, verify

__all__ = [
    "SETTINGS",
    "BanditRuleViolation",
    "Choice",
    "Verification",
    "add_arm",
    "change_settings",
    "choose",
    "closed_form",
    "credit",
    "decision_of",
    "expire",
    "fold",
    "pin",
    "rebuild",
    "rebuild_words",
    "record_decision",
    "reset",
    "restore",
    "set_status",
    "take_snapshot",
    "tell_progress",
    "unpin",
    "verify",
    "windows",
]
