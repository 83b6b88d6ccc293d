"""What each role of staff may do. A migration makes them groups; a test keeps the two alike.

A role is a group of that name; its permissions can be changed in the admin afterwards, and a
person can have several.  Superusers may do everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """A role.

    Attributes:
        words: whom it is for.
        permissions: `app.codename` each.
    """

    words: str
    permissions: frozenset[str]


@dataclass(frozen=True)
class Ability:
    """Something that is done in the console, and the permission that it needs."""

    words: str
    permission: str


def _permissions(app: str, acts: str, models: str) -> set[str]:
    return {f"{app}.{act}_{model}" for act in acts.split() for model in models.split()}


def _union(*groups: Iterable[str]) -> frozenset[str]:
    return frozenset(permission for group in groups for permission in group)


_SEE = _union(
    _permissions(
        "recommendations",
        "view",
        "activityslot artist countedday genre heartbeat modelversion outboxevent requestminute "
        "servingstate systemreading systemreport track trackshown trainingrun",
    ),
    _permissions(
        "experiments",
        "view",
        "assignmentsettings experiment experimentmetric metric phase variant",
    ),
    _permissions("bandits", "view", "archive arm bandit snapshot"),
)
_LOOK_AT_PEOPLE = _union(
    {"recommendations.inspect_listener", "accounts.view_listener", "bandits.view_decision"},
    _permissions("recommendations", "view", "feedback recommendation"),
)
_STEER = _union(
    {"experiments.run_experiment"},
    _permissions("bandits", "change", "archive arm bandit"),
)
_EXPERIMENT = _union(
    {"experiments.ship_experiment", "bandits.add_arm", "experiments.delete_experiment"},
    _permissions("experiments", "add change", "experiment metric"),
    _permissions("experiments", "add change delete", "experimentmetric variant"),
    {"experiments.change_assignmentsettings"},
)
_OPERATE = _union(
    {
        "recommendations.add_trainingrun",
        "recommendations.change_outboxevent",
        "recommendations.change_servingstate",
        "recommendations.view_auditentry",
    },
    _permissions("recommendations", "add change", "artist genre track"),
    _permissions("recommendations", "add view", "catalogueupload"),
    _permissions("django_celery_beat", "view change", "periodictask"),
    _permissions("django_celery_beat", "view", "crontabschedule intervalschedule"),
)
_ADMINISTER = _union(
    _permissions("accounts", "add change delete view", "user listener"),
    _permissions("accounts", "add change view", "serviceaccount servicekey"),
    _permissions("accounts", "view delete", "apitoken"),
    _permissions("auth", "view change", "group"),
    _permissions("recommendations", "delete", "artist genre track"),
    _permissions("experiments", "delete", "metric"),
    _permissions("django_celery_beat", "add delete", "periodictask"),
)

VIEWER, EXPERIMENTER, OPERATOR, ADMINISTRATOR = (
    "viewer",
    "experimenter",
    "operator",
    "administrator",
)

ROLES: dict[str, Role] = {
    VIEWER: Role("Sees every figure about the whole; nobody in particular.", _SEE),
    EXPERIMENTER: Role(
        "Plans, runs and ships experiments, sets the bandit, looks into lists.",
        _union(_SEE, _LOOK_AT_PEOPLE, _STEER, _EXPERIMENT),
    ),
    OPERATOR: Role(
        "Keeps it running: models, catalogue, dead letters; may stop an experiment or an arm.",
        _union(_SEE, _LOOK_AT_PEOPLE, _STEER, _OPERATE),
    ),
    ADMINISTRATOR: Role(
        "All of that, and people, roles and keys.",
        _union(_SEE, _LOOK_AT_PEOPLE, _STEER, _EXPERIMENT, _OPERATE, _ADMINISTER),
    ),
}

ABILITIES: tuple[Ability, ...] = (
    Ability("See overview, system, definitions, search", "recommendations.view_systemreport"),
    Ability("See models and training runs", "recommendations.view_modelversion"),
    Ability("See the catalogue", "recommendations.view_track"),
    Ability("See dead letters", "recommendations.view_outboxevent"),
    Ability("Start, pause and stop experiments", "experiments.run_experiment"),
    Ability("Plan experiments", "experiments.add_experiment"),
    Ability("Ship a variant", "experiments.ship_experiment"),
    Ability("Pause, pin and reset in the bandit", "bandits.change_arm"),
    Ability("Look into one listener (logged)", "recommendations.inspect_listener"),
    Ability("Promote and roll back models", "recommendations.change_servingstate"),
    Ability("Train now", "recommendations.add_trainingrun"),
    Ability("Retry dead letters", "recommendations.change_outboxevent"),
    Ability("Import catalogues", "recommendations.add_catalogueupload"),
    Ability("Edit, hide and show tracks and artists", "recommendations.change_track"),
    Ability("Read the audit log", "recommendations.view_auditentry"),
    Ability("Manage people", "accounts.change_user"),
    Ability("See and change roles", "auth.view_group"),
    Ability("Make and revoke keys of services", "accounts.add_servicekey"),
)
