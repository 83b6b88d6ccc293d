"""Out and back in: the same listeners get the same lists."""

import json

import pytest
from allauth.usersessions.models import UserSession
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import ApiToken, Listener, Preferences
from accounts.services import issue_token
from recommendations.models import Feedback, Track
from recommendations.services.dump import MANIFEST
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.serving import state
from recommendations.tests.factories import (
    make_feedback,
    make_listener,
    make_play_count,
    make_user,
    service_client,
)


def lists():
    state.forget()
    return {
        (str(listener.uuid), strategy): [
            (item.track_id, item.score, item.explanation)
            for item in recommend(
                listener=listener, wishes=Wishes(n=10), at=timezone.now(), strategy=strategy,
                record=False,
            ).items
        ]
        for listener in Listener.objects.select_related("preferences").order_by("pk")
        for strategy in ("hybrid_ensemble", "content_based", "trending")
    }  # fmt: skip


def empty():
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for model in connection.introspection.table_names():
            if model not in ("django_migrations", "django_content_type", "auth_permission"):
                cursor.execute(f'DELETE FROM "{model}"')  # noqa: S608
        cursor.execute("SET session_replication_role = DEFAULT")


@pytest.mark.django_db
def test_a_restored_dump_gives_the_same_lists(tracks, version, tmp_path, capsys):
    one, other = make_listener(genres=["jazz"]), make_listener(external_id="7")
    for number in range(0, 12, 3):
        make_feedback(listener=one, track=tracks[number], kind="rating", rating=5)
        make_play_count(listener=other, track=tracks[number + 1], plays=number + 1)
    before = lists()
    call_command("export", str(tmp_path / "dump"))
    with pytest.raises(CommandError, match="not empty"):
        call_command("import_dump", str(tmp_path / "dump"))
    empty()
    assert not Track.objects.exists()
    call_command("import_dump", str(tmp_path / "dump"))
    assert lists() == before
    assert Preferences.objects.get(listener=one).genres == ["jazz"]
    make_feedback(listener=one, track=tracks[1])  # the counters go on after the largest key
    assert Feedback.objects.count() == 5


def dangling():
    """Columns that refer to rows that are not there."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            for column, (key, other) in connection.introspection.get_relations(
                cursor, table
            ).items():
                cursor.execute(
                    f'SELECT EXISTS (SELECT FROM "{table}" t WHERE t."{column}" IS NOT NULL AND '  # noqa: S608
                    f'NOT EXISTS (SELECT FROM "{other}" o WHERE o."{key}" = t."{column}"))'
                )
                if cursor.fetchone()[0]:
                    found.append(f"{table}.{column}")
    return found


def rows_told(command, folder, capsys):
    call_command(command, str(folder))
    return int(capsys.readouterr().out.split()[0].replace(",", ""))


@pytest.mark.django_db
def test_of_a_restored_dump_no_row_refers_to_a_session_that_was_left_out(tracks, tmp_path, capsys):
    user, now = make_user(), timezone.now()
    session = UserSession.objects.create(user=user, ip="203.0.113.7", session_key="k")
    make_feedback(listener=make_listener(user=user), track=tracks[0])
    issue_token(user=user, name="app", at=now, session=session)
    issue_token(user=user, name="mine", at=now)
    written = rows_told("export", tmp_path / "dump", capsys)
    empty()
    assert rows_told("import_dump", tmp_path / "dump", capsys) == written - 1
    assert [token.name for token in ApiToken.objects.all()] == ["mine"]
    assert dangling() == []


@pytest.mark.django_db
def test_a_damaged_dump_changes_nothing(tracks, tmp_path):
    folder = tmp_path / "dump"
    call_command("export", str(folder))
    (folder / "recommendations_track.csv.gz").write_bytes(b"")
    empty()
    with pytest.raises(CommandError, match="damaged"):
        call_command("import_dump", str(folder))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["migrations"].pop()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CommandError, match="another release"):
        call_command("import_dump", str(folder))
    assert not Track.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("what", ["tracks", "listeners", "feedback"])
def test_a_service_takes_its_own_data_along(tracks, what):
    radio, rival = service_client("radio"), service_client("rival")
    row = {"user_id": "mia", "track_id": "t1", "kind": "like", "event_id": "e1"}
    radio.post("/feedback/bulk", [row])
    lines = b"".join(radio.get(f"/export/{what}")).decode().splitlines()
    assert len(lines) == (60 if what == "tracks" else 1)
    told = json.loads(lines[0])
    if what == "feedback":
        assert {name: told[name] for name in row} == row
    table = b"".join(radio.get(f"/export/{what}?as=csv")).decode().splitlines()
    assert table[0] == ",".join(told)
    assert len(table) == len(lines) + 1
    if what != "tracks":
        assert b"".join(rival.get(f"/export/{what}")) == b""
