import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import DatabaseError, transaction

from bandits.models import Arm
from bandits.services import set_status
from experiments.models import Experiment
from recommendations.models import AuditEntry
from recommendations.services import audit
from recommendations.tests.factories import NOW, make_track, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "act", [lambda rows: rows.update(actor="nobody"), lambda rows: rows.delete()]
)
def test_the_database_refuses_to_rewrite_the_log(act):
    audit.note(by=make_user(), act="hidden", subject=make_track(), at=NOW)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        act(AuditEntry.objects.all())
    assert AuditEntry.objects.count() == 1


def test_what_is_done_in_the_admin_is_in_the_log_without_code_that_could_forget_it():
    user, track = make_user(), make_track(name="Jóga")
    message = [{"changed": {"fields": ["Year"]}}]
    LogEntry.objects.log_actions(user.pk, [track], CHANGE, message, single_object=True)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.act, entry.source) == (user.email, "changed", "admin")
    assert entry.subject_type == "recommendations.track"
    assert entry.subject.startswith("Jóga")
    assert entry.in_particular == "changed Year"


def test_a_change_of_an_experiment_is_in_the_log_with_both_values():
    experiment = Experiment.objects.create(key="louder", hypothesis="h")
    experiment.coverage = 0.5
    experiment._change_reason = "careful"
    experiment.save()
    experiment.save()  # nothing changed: nothing to say
    added, changed = AuditEntry.objects.filter(subject="louder").order_by("pk")
    assert (added.act, changed.act) == ("added", "changed")
    assert changed.details == {"coverage": [1, 0.5]}
    assert changed.in_particular == "careful; coverage: 1 → 0.5"


def test_the_log_outlives_the_person():
    user = make_user()
    audit.note(by=user, act="hidden", subject=make_track(), at=NOW)
    email = user.email
    user.delete()
    assert AuditEntry.objects.filter(actor=email).exists()


def test_the_log_is_searched_by_who_what_and_why():
    audit.note(by=None, act="hidden", subject="Jóga", at=NOW, words="wrong rights")
    audit.note(by=None, act="shown again", subject="Venus as a Boy", at=NOW)
    assert AuditEntry.objects.matching(words="rights").get().subject == "Jóga"
    assert AuditEntry.objects.matching(act="shown again").get().subject == "Venus as a Boy"
    assert not AuditEntry.objects.matching(actor="somebody").exists()


def test_the_first_change_of_what_a_migration_made_says_what_it_changed():
    arm = Arm.objects.get(key="trending")
    set_status(arm, Arm.Status.PAUSED)
    changed = AuditEntry.objects.filter(subject="trending").latest("pk")
    assert changed.in_particular == "status: active → paused"
    experiment = Experiment.objects.get()
    experiment.hypothesis = "another"
    experiment.save()
    changed = AuditEntry.objects.filter(subject=experiment.key).latest("pk")
    assert set(changed.details) == {"hypothesis"}
