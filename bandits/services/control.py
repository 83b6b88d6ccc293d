"""The operator's acts: settings, arms, pin, reset and restore."""

from datetime import datetime
from typing import Any

import numpy as np
from django.core.exceptions import ValidationError
from django.db import transaction

from bandits.core.context import DIMENSION, SCHEMA_VERSION
from bandits.core.linear import LinearPosterior
from bandits.core.logistic import LogisticPosterior, log_odds_of, rates_of
from bandits.core.statistics import Statistics
from bandits.live import posteriors_of
from bandits.models import Archive, ArchivedArm, Arm, Bandit, Learned
from bandits.services.errors import BanditRuleViolation

SETTINGS = (
    "policy",
    "floor",
    "exploration",
    "prior_precision",
    "half_life",
    "attribution_window",
)


@transaction.atomic
def change_settings(bandit: Bandit, *, at: datetime, **settings: Any) -> Bandit:
    """Change some of `SETTINGS`; what was learned stays.

    A new half-life or policy is applied to all decisions of the past as well, as though it had
    always been so: by `rebuild`, which the worker runs within seconds.  Until it is done the sums
    count as they were made.  What warm starts expect is put onto the policy's scale at once.

    Raises:
        BanditRuleViolation: `unknown_setting`, or `invalid_setting` with the field's message.
    """
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise BanditRuleViolation(
            "unknown_setting", f"{unknown} cannot be set; what can is {list(SETTINGS)}"
        )
    locked = _locked(bandit)
    before = {name: getattr(locked, name) for name in SETTINGS}
    for name, value in settings.items():
        setattr(locked, name, value)
    if before == {name: getattr(locked, name) for name in SETTINGS}:
        return locked
    try:
        locked.clean_fields()
    except ValidationError as error:
        raise BanditRuleViolation("invalid_setting", "; ".join(error.messages)) from None
    if (locked.half_life, locked.policy) != (before["half_life"], before["policy"]) or (
        locked.policy == Bandit.PolicyKind.LOGISTIC
    ):
        locked.rebuild_due = True
    if _is_logistic(locked.policy) != _is_logistic(before["policy"]):
        _rescale_starts(locked)
    return _save(locked)


@transaction.atomic
def add_arm(bandit: Bandit, *, key: str, at: datetime, warm_start: bool = False) -> Arm:
    """Add an arm while the bandit runs.

    Args:
        bandit: to which.
        key: the arm's name; what it means only the caller of `choose` knows.
        at: now.
        warm_start: begin from the mean of the other active arms' posteriors, with the prior's
            precision, instead of from a reward of 0.5 in every context.

    Raises:
        BanditRuleViolation: `arm_exists`, `invalid_arm`, or `nothing_to_start_from`.
    """
    locked = _locked(bandit)
    if locked.arms.filter(key=key).exists():
        raise BanditRuleViolation("arm_exists", f"{locked} has an arm {key!r} already")
    prior_mean = _mean_of_others(locked, at=at) if warm_start else None
    arm = Arm(bandit=locked, key=key, position=locked.arms.count())
    try:
        arm.clean_fields()
    except ValidationError as error:
        raise BanditRuleViolation("invalid_arm", "; ".join(error.messages)) from None
    arm.save()
    Learned.objects.create(arm=arm, **_empty(locked, at=at), prior_mean=prior_mean)
    _save(locked)
    return arm


@transaction.atomic
def set_status(arm: Arm, status: str) -> Arm:
    """Pause, resume or retire an arm; its decisions and what it learned stay.

    Raises:
        BanditRuleViolation: `retired` where it is retired, `pinned` where it is pinned,
            `last_arm` where no active arm would be left, `unknown_status`.
    """
    bandit = _locked(arm.bandit)
    arm = bandit.arms.get(pk=arm.pk)
    if status not in Arm.Status.values:
        raise BanditRuleViolation(
            "unknown_status", f"status must be one of {Arm.Status.values}, got {status!r}"
        )
    if arm.status == status:
        return arm
    if arm.status == Arm.Status.RETIRED:
        raise BanditRuleViolation("retired", f"{arm} is retired; add an arm under another name")
    if status != Arm.Status.ACTIVE:
        if bandit.pinned_arm_id == arm.pk:
            raise BanditRuleViolation("pinned", f"{arm} is pinned; unpin it first")
        others = bandit.arms.filter(status=Arm.Status.ACTIVE).exclude(pk=arm.pk)
        if not others.exists():
            raise BanditRuleViolation("last_arm", f"{arm} is the last active arm of {bandit}")
    arm.status = status
    arm.save()
    _save(bandit)
    return arm


@transaction.atomic
def pin(arm: Arm) -> Bandit:
    """Give an arm all traffic, wherever it is eligible.

    Raises:
        BanditRuleViolation: `not_active`.
    """
    bandit = _locked(arm.bandit)
    arm = bandit.arms.get(pk=arm.pk)
    if arm.status != Arm.Status.ACTIVE:
        raise BanditRuleViolation("not_active", f"{arm} is {arm.status}; only an active arm pins")
    bandit.pinned_arm = arm
    return _save(bandit)


@transaction.atomic
def unpin(bandit: Bandit) -> Bandit:
    """Let the policy choose again."""
    locked = _locked(bandit)
    locked.pinned_arm = None
    return _save(locked)


@transaction.atomic
def reset(bandit: Bandit, *, at: datetime, reason: str = "") -> Archive:
    """Archive what was learned and begin from nothing.

    Decisions of before stay; rewards that still arrive for them are kept with them but no longer
    teach, unless the archive is restored.
    """
    locked = _locked(bandit)
    archive = Archive.objects.create(
        bandit=locked,
        archived_at=at,
        reason=reason,
        epochs=locked.epochs,
        schema_version=SCHEMA_VERSION,
    )
    for arm in locked.arms.select_related("learned"):
        learned = arm.learned
        if learned.schema_version == SCHEMA_VERSION:
            ArchivedArm.objects.create(
                archive=archive,
                arm=arm,
                sums=learned.sums,
                reference=learned.reference,
                half_life=learned.half_life,
                prior_mean=learned.prior_mean,
            )
        Learned.objects.filter(arm=arm).update(
            **_empty(locked, at=at),
            schema_version=SCHEMA_VERSION,
            prior_mean=None,
            mode=None,
            covariance=None,
            folded_at=at,
        )
    locked.epoch += 1
    locked.epochs = [locked.epoch]
    _save(locked)
    return archive


@transaction.atomic
def restore(archive: Archive, *, at: datetime) -> Bandit:
    """Undo a reset: what was archived counts again, with what was learned since.

    Raises:
        BanditRuleViolation: `restored`, or `schema` where contexts were described otherwise.
    """
    bandit = _locked(archive.bandit)
    archive = Archive.objects.get(pk=archive.pk)
    if archive.restored_at is not None:
        raise BanditRuleViolation("restored", f"{archive} was restored already")
    if archive.schema_version != SCHEMA_VERSION:
        raise BanditRuleViolation(
            "schema", f"{archive} has context schema {archive.schema_version}, now {SCHEMA_VERSION}"
        )
    same_rate = True
    for archived in archive.arms.select_related("arm__learned"):
        learned = archived.arm.learned
        same_rate = same_rate and archived.half_life == learned.half_life
        if same_rate:
            merged = learned.statistics().merged(archived.statistics())
            learned.sums, learned.reference = merged.to_bytes(), merged.reference
        learned.prior_mean = archived.prior_mean
        learned.save()
    archive.restored_at = at
    archive.save(update_fields=["restored_at"])
    bandit.epochs = sorted({*bandit.epochs, *archive.epochs})
    if not same_rate or bandit.policy == Bandit.PolicyKind.LOGISTIC:
        bandit.rebuild_due = True
    return _save(bandit)


def _locked(bandit: Bandit) -> Bandit:
    return Bandit.objects.select_for_update(no_key=True).get(pk=bandit.pk)


def _save(bandit: Bandit) -> Bandit:
    bandit.version += 1
    bandit.save()
    return bandit


def _empty(bandit: Bandit, *, at: datetime) -> dict[str, Any]:
    sums = Statistics.empty(DIMENSION, reference=at.timestamp(), half_life=bandit.half_life_seconds)
    return {"sums": sums.to_bytes(), "reference": sums.reference, "half_life": sums.half_life}


def _is_logistic(policy: str) -> bool:
    return policy == Bandit.PolicyKind.LOGISTIC


def _rescale_starts(bandit: Bandit) -> None:
    """Put warm starts, archived ones too, onto the scale of a policy that was just changed.

    That is log-odds for the logistic policy and rewards for the others.
    """
    rescaled = log_odds_of if _is_logistic(bandit.policy) else rates_of
    for rows in (
        Learned.objects.filter(arm__bandit=bandit),
        ArchivedArm.objects.filter(archive__bandit=bandit),
    ):
        for row in rows.exclude(prior_mean=None):
            row.prior_mean = rescaled(np.array(row.prior_mean)).tolist()
            row.save(update_fields=["prior_mean"])


def _mean_of_others(bandit: Bandit, *, at: datetime) -> list[float]:
    arms = bandit.arms.filter(status=Arm.Status.ACTIVE).with_sums()
    posteriors = [
        posterior
        for posterior in posteriors_of(bandit, arms, at=at).values()
        if isinstance(posterior, LinearPosterior | LogisticPosterior)
    ]
    if not posteriors:
        raise BanditRuleViolation(
            "nothing_to_start_from", f"{bandit} has no other arm whose posterior could be the start"
        )
    return np.mean([posterior.mean for posterior in posteriors], axis=0).tolist()
