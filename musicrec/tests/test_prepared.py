"""A prepared read answers what the queryset answers."""

import contextlib
from datetime import timedelta
from unittest import mock

import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    ProgrammingError,
    connection,
    transaction,
)
from django.utils import timezone

from accounts import services
from accounts.models import ApiToken, Listener, Preferences, User
from musicrec.prepared import Parameter, PreparedRow, Statement, _kept, write_together
from recommendations.models import OutboxEvent, Recommendation, Taste

pytestmark = pytest.mark.django_db

LISTENER = PreparedRow(
    lambda: Listener.objects.filter(external_id=Parameter("name")()).select_related("preferences")
)


def values_of(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_a_row_is_the_one_that_the_queryset_finds(django_assert_num_queries):
    listener = Listener.objects.create(external_id="Zoë", country="NL")
    Preferences.objects.create(listener=listener, genres=["trip hop"], energy=0.25)
    found = LISTENER.get(name="Zoë")
    assert values_of(found) == values_of(Listener.objects.get(pk=listener.pk))
    with django_assert_num_queries(0):
        assert values_of(found.preferences)["genres"] == ["trip hop"]


def test_a_row_whose_related_row_is_missing_says_so_without_a_query(django_assert_num_queries):
    Listener.objects.create(external_id="bare")
    found = LISTENER.get(name="bare")
    with django_assert_num_queries(0), pytest.raises(Preferences.DoesNotExist):
        _ = found.preferences


def test_each_read_takes_its_own_values_and_one_query(django_assert_num_queries):
    for name in ("a", "b"):
        Listener.objects.create(external_id=name)
    LISTENER.get(name="a")
    with django_assert_num_queries(2):
        assert LISTENER.get(name="b").external_id == "b"
        assert LISTENER.get(name="c") is None


def test_a_value_is_data_and_never_sql():
    assert LISTENER.get(name="' OR true --") is None


def test_a_read_without_a_value_is_refused():
    with pytest.raises(KeyError):
        LISTENER.get()


def kept_statements():
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, statement FROM pg_prepared_statements ORDER BY name")
        return dict(cursor.fetchall())


def test_a_statement_is_planned_once_for_a_connection_and_anew_for_the_next():
    for _ in range(2):
        statement = Statement("double", "SELECT %s::int * 2, 'a%%'")
        for number in (1, 2):
            with connection.cursor() as cursor:
                statement.execute(cursor, [number])
                assert cursor.fetchone() == (2 * number, "a%")
        assert [name for name in kept_statements() if name.startswith("double_")]
        with connection.cursor() as cursor:  # as with a connection that is opened anew
            cursor.execute("DEALLOCATE ALL")
        _kept.pop(connection.connection)


def test_a_statement_outlives_the_transaction_that_failed_after_it():
    statement = Statement("half", "SELECT 10 / %s::int")
    with contextlib.suppress(DataError), transaction.atomic(), connection.cursor() as cursor:
        statement.execute(cursor, [0])
    with connection.cursor() as cursor:
        statement.execute(cursor, [5])
        assert cursor.fetchone() == (2,)


def test_behind_a_pooler_nothing_is_kept_on_the_connection():
    before = kept_statements()
    statement = Statement("pooled", "SELECT %s::text")
    pooled = mock.patch.dict(connection.settings_dict, DISABLE_SERVER_SIDE_CURSORS=True)
    with pooled, connection.cursor() as cursor:
        statement.execute(cursor, ["häppy"])
        assert cursor.fetchone() == ("häppy",)
    assert kept_statements() == before


def test_a_wrong_statement_fails_as_any_other_does():
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        Statement("wrong", "SELECT nothing FROM nowhere WHERE a = %s").execute(cursor, [1])


def slate_of(listener, **given):
    return Recommendation(
        listener=listener,
        propensity=0.5,
        latency_ms=3.0,
        **{"tracks": [], "scores": [0.5], **given},
    )


def test_rows_of_several_tables_are_written_by_one_statement(django_assert_num_queries):
    listener = Listener.objects.create(external_id="ann")
    at = timezone.now()
    context = {"mood": "häppy", "n": [1, None]}
    slates = [slate_of(listener, tracks=tracks, context=context) for tracks in ([3, 1], [])]
    effects = [OutboxEvent(kind="slate", recommendation=row, created_at=at) for row in slates]
    with django_assert_num_queries(1):
        write_together(slates, [], effects)
    for row in slates:
        written = Recommendation.objects.get(pk=row.pk)
        assert values_of(written) == values_of(row)
    assert set(OutboxEvent.objects.values_list("recommendation", "created_at")) == {
        (row.pk, at) for row in slates
    }
    assert not slates[0]._state.adding


def test_of_rows_written_together_all_are_there_or_none():
    listener = Listener.objects.create(external_id="ann")
    good = slate_of(listener)
    with pytest.raises(IntegrityError, match="recommendation_pkey"), transaction.atomic():
        write_together([OutboxEvent(kind="slate", recommendation=good)], [good, good])
    assert not Recommendation.objects.exists()
    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize(("wait_for_disk", "commit"), [(True, "on"), (False, "off")])
def test_who_may_not_wait_for_the_disk_says_so_of_this_transaction_alone(wait_for_disk, commit):
    def setting():
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return cursor.fetchone()[0]

    slate = slate_of(Listener.objects.create(external_id="ann"))
    effect = OutboxEvent(kind="slate", recommendation=slate)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = on")
    with contextlib.suppress(Undone), transaction.atomic():
        write_together([slate], [effect], wait_for_disk=wait_for_disk)
        assert setting() == commit
        raise Undone
    assert setting() == "on"


class Undone(Exception):
    """The transaction is given up."""


def test_a_row_that_another_refers_to_gets_the_key_that_the_database_chose(
    django_assert_num_queries,
):
    for number in range(2):
        listener = Listener(external_id=f"Zoë {number}", country="NL")
        slate, taste = slate_of(listener), Taste(listener=listener)
        with django_assert_num_queries(1):
            write_together([listener], [slate], [taste], wait_for_disk=False)
        assert values_of(Listener.objects.get(pk=listener.pk)) == values_of(listener)
        assert Recommendation.objects.get(pk=slate.pk).listener_id == listener.pk
        assert Taste.objects.filter(listener_id=listener.pk).exists()
        listener.country = "DE"
        listener.save()
    assert Listener.objects.count() == 2


def test_a_row_is_written_before_the_one_that_needs_its_key():
    listener, others = Listener(external_id="ann"), [Listener(), Listener()]
    with pytest.raises(ValueError, match="has no key"):
        write_together([slate_of(listener)], [listener])
    with pytest.raises(ValueError, match="has no key"):
        write_together([slate_of(listener)])
    with pytest.raises(ValueError, match="has no key"):
        write_together(others, [slate_of(others[0])])  # which of the keys would be its?
    assert not Listener.objects.exists()


def test_rows_are_changed_in_the_statement_that_writes_others(django_assert_num_queries):
    listener = Listener.objects.create(external_id="ann")
    bystander = Taste.objects.create(listener=Listener.objects.create(), n_plays=7)
    taste = Taste.objects.create(listener=listener)
    before = taste.updated_at
    slate = slate_of(listener)
    taste.history, taste.hidden, taste.n_plays = b"\x00\xff%s", {"tracks": {"1": None}}, 3
    with django_assert_num_queries(1):
        write_together([slate], updated=[taste])
    assert Recommendation.objects.filter(pk=slate.pk).exists()
    written = Taste.objects.get(listener=listener)
    assert (bytes(written.history), written.hidden, written.n_plays) == (
        taste.history,
        taste.hidden,
        3,
    )
    assert written.updated_at > before
    bystander.refresh_from_db()
    assert bystander.n_plays == 7


def test_a_row_to_be_changed_that_is_gone_is_an_error():
    taste = Taste.objects.create(listener=Listener.objects.create(external_id="ann"))
    Taste.objects.filter(pk=taste.pk).delete()
    with pytest.raises(DatabaseError, match="not there"), transaction.atomic():
        write_together([slate_of(taste.listener)], updated=[taste])
    assert not Recommendation.objects.exists()


def test_nothing_to_write_is_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        write_together([], [])


def test_a_token_comes_with_its_user_and_listener(django_assert_num_queries):
    user = User.objects.create_user("ann@example.com", "a long enough secret")
    listener = services.listener_of(user)
    now = timezone.now()
    secret = services.issue_token(user=user, name="app", at=now)
    with django_assert_num_queries(1):
        token = ApiToken.objects.valid_for(secret, at=now)
        assert token.user.email == "ann@example.com"
        assert token.user.listener == listener
    assert token.user.listener.user is token.user
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert ApiToken.objects.valid_for(secret, at=now) is None
    assert ApiToken.objects.valid_for(secret, at=now + timedelta(days=400)) is None
