import csv
import gzip
import io
import zipfile

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Listener
from recommendations.core.history import History
from recommendations.models import Artist, Feedback, Genre, PlayCount, ServingState, Taste, Track
from recommendations.services.imports.lastfm import import_lastfm
from recommendations.services.imports.listens import import_listens
from recommendations.services.imports.reading import ImportRefused, Rejects
from recommendations.services.imports.tracks import import_tracks
from recommendations.services.taste import read_taste
from recommendations.serving import state
from recommendations.tests.factories import make_feedback, make_listener, make_track

pytestmark = pytest.mark.django_db

TRACKS = (
    b"track_id,name,artist,album,genres,year,duration_ms,popularity,energy,valence,"
    b"loudness_db,tempo_bpm\n"
    b"a,Hyperballad,Bj\xc3\xb6rk,Post,Electronic;pop ;electronic,1995,321000,70,0.6,0.4,-9.5,133\n"
    b'b,"Hello, ""World""",The Commas,,,,,,,,,\n'
)
LISTENS = b"user_id,track_id,plays\nmia,a,10\nmia,b,2\nleo,a,1\n"


@pytest.fixture
def load(tmp_path):
    """Return a function that imports bytes and returns the report and the rejects' rows."""

    def load(importer, content, *, name="file.csv", strict=False):
        path = tmp_path / name
        path.write_bytes(content)
        rejects_path = tmp_path / "rejects.csv"
        with Rejects(name, rejects_path, strict=strict) as rejects:
            report = importer(path, rejects=rejects)
        rows = []
        if rejects_path.exists():
            with rejects_path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                rows = list(csv.reader(file))[1:]
        assert len(rows) == rejects.count
        return report, rows

    return load


@pytest.fixture
def catalogue():
    return [make_track(track_id="a"), make_track(track_id="b")]


def everything():
    """Every row an import writes, without the times at which it wrote them."""
    return [
        sorted(Track.objects.values_list("track_id", "name", "artist__name", "genres__name")),
        sorted(PlayCount.objects.values_list("listener__external_id", "track__track_id", "plays")),
        sorted(Feedback.objects.values_list("listener__external_id", "event_id", "rating")),
        sorted(Listener.objects.values_list("external_id", flat=True)),
        sorted(Artist.objects.values_list("name", flat=True)),
    ]


def test_a_track_is_loaded_with_all_it_has(load):
    report, rejects = load(import_tracks, TRACKS)
    assert str(report) == "2 tracks new, 0 changed, 0 unchanged"
    assert rejects == []
    track = Track.objects.select_related("artist").get(track_id="a")
    assert (track.name, track.artist.name, track.album) == ("Hyperballad", "Björk", "Post")
    assert (track.year, track.duration_ms, track.popularity) == (1995, 321_000, 70)
    assert (track.energy, track.valence, track.loudness_db, track.tempo_bpm) == (
        0.6,
        0.4,
        -9.5,
        133,
    )
    assert track.danceability is None
    assert [genre.name for genre in track.genres.all()] == ["electronic", "pop"]
    other = Track.objects.get(track_id="b")
    assert (other.name, other.year, other.energy) == ('Hello, "World"', None, None)


@pytest.mark.parametrize("importer", [import_tracks, import_listens])
def test_a_second_run_changes_nothing(load, catalogue, importer):
    content = TRACKS if importer is import_tracks else LISTENS
    load(importer, content)
    before = everything()
    stamps = list(Track.objects.order_by("pk").values_list("updated_at", flat=True))
    version = ServingState.objects.values_list("catalogue_version", flat=True).first()
    report, _ = load(importer, content)
    assert (report.created, report.changed) == (0, 0)
    assert report.unchanged == content.count(b"\n") - 1
    assert everything() == before
    assert list(Track.objects.order_by("pk").values_list("updated_at", flat=True)) == stamps
    assert ServingState.objects.values_list("catalogue_version", flat=True).first() == version


def test_a_gzipped_file_loads_like_a_plain_one(load):
    report, _ = load(import_tracks, gzip.compress(TRACKS), name="tracks.csv.gz")
    assert report.created == 2


def test_a_byte_order_mark_is_no_part_of_the_first_column(load):
    report, _ = load(import_tracks, b"\xef\xbb\xbf" + TRACKS)
    assert report.created == 2


def test_a_quoted_line_break_is_part_of_the_name_and_lines_are_those_of_the_file(load):
    content = b'track_id,name,artist\na,"one\ntwo",x\nb,,x\n'
    _, rejects = load(import_tracks, content)
    assert Track.objects.get().name == "one\ntwo"
    assert rejects == [["4", "name is empty", "b", "", "x"]]


def test_a_rejected_row_is_named_by_the_line_it_begins_on(load):
    _, rejects = load(import_tracks, b'track_id,name,artist\na,"one\ntwo",\nb,y,x\n')
    assert rejects == [["2", "artist is empty", "a", "one\ntwo", ""]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"c,Name", "2 columns instead of 5"),
        (b"c,Name,Artist,,0.5,7", "6 columns instead of 5"),
        (b",Name,Artist,,", "track_id is empty"),
        (b"c,  ,Artist,,", "name is empty"),
        (b"c,Name,Artist,,nan", "energy is nan, not between 0 and 1"),
        (b"c,Name,Artist,,inf", "energy is inf, not between 0 and 1"),
        (b"c,Name,Artist,,1.5", "energy is 1.5, not between 0 and 1"),
        (b"c,Name,Artist,,loud", "energy is no number: 'loud'"),
        (b"c,Name,Artist,,0_1", "energy is no number: '0_1'"),
        (b"c,Na\x00me,Artist,,", "holds a NUL character"),
        (b"c,Caf\xe9,Artist,,", "is not UTF-8"),
        (b"c," + b"n" * 501 + b",Artist,,", "name has 501 characters, 500 are allowed"),
        (b"c,Name,Artist," + b"g" * 101 + b",", "genres holds a genre of 101 characters"),
        (b"c," + b"n" * 200_000 + b",Artist,,", "not CSV: field larger than field limit"),
    ],
)
def test_a_bad_track_is_left_out_with_line_and_reason(load, row, reason):
    header = b"track_id,name,artist,genres,energy\n"
    content = header + b"a,A,X,,\n" + row + b"\n" + b"b,B,Y,,\n"
    report, rejects = load(import_tracks, content)
    assert report.created == 2
    assert [line for line, *_ in rejects] == ["3"]
    assert rejects[0][1].startswith(reason)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"mia,a,,7", "rating is 7, not between 1 and 5"),
        (b"mia,a,,2.5", "rating is 2.5, not a whole number"),
        (b"mia,a,0,", "plays is 0, not between 1 and 2.14748e+09"),
        (b"mia,a,-3,", "plays is -3"),
        (b"mia,a,nan,", "plays is nan"),
        (b"mia,a,1e30,", "plays is 1e30"),
        (b"mia,a,,", "plays and rating are both empty"),
        (b",a,1,", "user_id is empty"),
        (b"mia,zzz,1,", "the track 'zzz' is not in the catalogue"),
        (b"mia,a", "2 columns instead of 4"),
        (b"m\x00a,a,1,", "holds a NUL character"),
    ],
)
def test_a_bad_listen_is_left_out_with_line_and_reason(load, catalogue, row, reason):
    content = b"user_id,track_id,plays,rating\nleo,a,3,\n" + row + b"\nleo,b,,4\n"
    report, rejects = load(import_listens, content)
    assert report.created == 2
    assert [line for line, *_ in rejects] == ["3"]
    assert rejects[0][1].startswith(reason)


@pytest.mark.parametrize(
    "moment",
    [
        "yesterday",
        "2999-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59-14:00",
        "0001-01-01T00:00:00Z",
    ],
)
def test_a_listen_at_no_time_of_the_past_is_left_out(load, catalogue, moment):
    content = f"user_id,track_id,rating,listened_at\nmia,a,5,{moment}\nmia,b,5,2020-02-29\n"
    report, rejects = load(import_listens, content.encode())
    assert report.created == 1
    assert [(line, reason.split()[0]) for line, reason, *_ in rejects] == [("2", "listened_at")]
    assert Feedback.objects.get().occurred_at.year == 2020


def test_the_reject_file_holds_line_reason_and_the_row_as_it_was(load, tmp_path, catalogue):
    load(import_listens, b"user_id,track_id,plays\nmia,zzz,3\nleo,a,x\nmia,caf\xe9,1\nleo,b,2\n")
    lines = (tmp_path / "rejects.csv").read_bytes().splitlines()
    assert lines[0] == b"line,reason,row"
    assert sorted(lines[1:]) == [
        b"2,the track 'zzz' is not in the catalogue,mia,zzz,3,",
        b"3,plays is no number: 'x',leo,a,x",
        b"4,is not UTF-8,mia,caf\xe9,1",
    ]


def test_a_clean_run_leaves_no_reject_file_of_an_earlier_one(load, tmp_path, catalogue):
    load(import_listens, b"user_id,track_id,plays\nmia,zzz,3\n")
    assert (tmp_path / "rejects.csv").exists()
    load(import_listens, LISTENS)
    assert not (tmp_path / "rejects.csv").exists()


@pytest.mark.parametrize("importer", [import_tracks, import_listens])
def test_strict_stops_at_the_first_bad_row_and_changes_nothing(load, catalogue, importer):
    before = everything()
    content = TRACKS + b"c,,,\n" if importer is import_tracks else LISTENS + b"mia,zzz,1\n"
    with pytest.raises(ImportRefused, match=r"file.csv, line \d: .*Nothing was changed"):
        load(importer, content, strict=True)
    assert everything() == before


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"", "file.csv", "file.csv is empty"),
        (b"", "file.csv.gz", "file.csv.gz is empty"),
        (b"track_id,name\na,b\n", "file.csv", "the column 'artist' is missing"),
        (gzip.compress(TRACKS * 100)[:-20], "file.csv.gz", "breaks off"),
        (TRACKS, "file.csv.gz", "breaks off: Not a gzipped file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_changes_nothing(load, content, name, reason):
    with pytest.raises(ImportRefused, match=reason):
        load(import_tracks, content, name=name)
    assert not Track.objects.exists()


def test_a_header_alone_is_a_file_without_rows(load):
    report, rejects = load(import_tracks, b"track_id,name,artist\n")
    assert (report.created, report.unchanged, rejects) == (0, 0, [])


def test_listens_without_plays_and_rating_are_refused(load, catalogue):
    with pytest.raises(ImportRefused, match="neither 'plays' nor 'rating' is a column"):
        load(import_listens, b"user_id,track_id\nmia,a\n")


def test_of_a_track_given_twice_the_last_row_counts(load):
    report, _ = load(
        import_tracks, b"track_id,name,artist,genres\na,Old,X,rock\na,New,Y,jazz\nb,B,X,\n"
    )
    assert report.created == 2
    track = Track.objects.get(track_id="a")
    assert (track.name, track.artist.name) == ("New", "Y")
    assert [genre.name for genre in track.genres.all()] == ["jazz"]


def test_plays_of_a_pair_are_added_up_and_replace_what_was_known(load, catalogue):
    load(import_listens, b"user_id,track_id,plays\nmia,a,10\nmia,a,5\n")
    assert PlayCount.objects.get().plays == 15
    report, _ = load(import_listens, b"user_id,track_id,plays\nmia,a,20\n")
    assert (report.created, report.changed) == (0, 1)
    assert PlayCount.objects.get().plays == 20


def test_a_pair_keeps_the_time_of_its_first_total_whatever_totals_follow(load, catalogue):
    times = []
    for plays in (10, 10, 20, 30):
        load(import_listens, f"user_id,track_id,plays\nmia,a,{plays}\n".encode())
        times.append(PlayCount.objects.get().imported_at)
    count = PlayCount.objects.get()
    assert times[0] == times[1] < times[2] < times[3]
    assert count.first_imported_at == times[0]


def test_changed_genres_replace_the_old_ones_and_tell_the_web_processes(load):
    load(import_tracks, b"track_id,name,artist,genres\na,A,X,rock;pop\nb,B,X,rock\n")
    before = ServingState.objects.get().catalogue_version
    report, _ = load(import_tracks, b"track_id,name,artist,genres\na,A,X,pop;jazz\nb,B,X,rock\n")
    assert (report.created, report.changed, report.unchanged) == (0, 1, 1)
    genres = Track.objects.get(track_id="a").genres.values_list("name", flat=True)
    assert sorted(genres) == ["jazz", "pop"]
    assert ServingState.objects.get().catalogue_version == before + 1


def test_a_changed_name_changes_that_track_alone(load):
    load(import_tracks, TRACKS)
    report, _ = load(import_tracks, TRACKS.replace(b"Hyperballad", b"Army of Me"))
    assert (report.created, report.changed, report.unchanged) == (0, 1, 1)


def test_characters_that_copy_treats_specially_arrive_as_they_are(load):
    name = 'a\\b\tc\\N "q" {x,y} \\.'
    genre = 'r\\"&{b},null'
    row = io.StringIO()
    csv.writer(row).writerows([["track_id", "name", "artist", "genres"], ["a", name, "\\N", genre]])
    load(import_tracks, row.getvalue().encode())
    track = Track.objects.get()
    assert (track.name, track.artist.name, track.genres.get().name) == (name, "\\N", genre)


def test_ratings_become_feedback_with_preference_and_time(load, catalogue):
    content = (
        b"user_id,track_id,rating,listened_at\n"
        b"mia,a,5,2020-02-29T12:00:00+02:00\nmia,a,2,2020-03-01T00:00:00\nmia,b,1,\n"
    )
    load(import_listens, content)
    rows = Feedback.objects.filter(track__track_id="a").order_by("occurred_at")
    assert [(row.rating, row.preference) for row in rows] == [(5, 1.0), (2, 0.25)]
    assert rows[0].occurred_at.isoformat() == "2020-02-29T10:00:00+00:00"
    assert Feedback.objects.count() == 3


def test_an_import_changes_the_taste_of_those_it_is_about_and_of_nobody_else(load, catalogue):
    a, b = catalogue
    mia, leo = make_listener(external_id="mia"), make_listener(external_id="leo")
    make_feedback(listener=mia, track=b)
    make_feedback(listener=leo, track=b)
    kept = Taste.objects.get(listener=leo).updated_at
    load(import_listens, b"user_id,track_id,plays\nmia,a,10\n")
    assert Taste.objects.get(listener=leo).updated_at == kept
    taste = read_taste(mia)
    assert taste.n_feedback == 1
    assert set(History.from_bytes(taste.history).tracks.tolist()) == {a.pk, b.pk}


def test_imported_plays_change_how_well_known_a_track_is_to_web_processes(
    load, catalogue, settings
):
    settings.MUSICREC = {**settings.MUSICREC, "REFRESH_SECONDS": 0}
    load(import_listens, b"user_id,track_id,plays\nmia,a,10\n")
    assert state.current().catalogue.popularity.tolist() == [1.0, 0.0]
    load(import_listens, b"user_id,track_id,plays\nleo,b,10\n")
    assert state.current().catalogue.popularity.tolist() == [0.5, 0.5]


def archive(**replaced):
    members = {
        "artists": b'id\tname\turl\n1\tBj\xc3\xb6rk\tu\n2\t"Quoted\tu\n3\t\tu\n',
        "tags": b"tagID\ttagValue\n7\tTrip-Hop\n8\tcaf\xe9\n",
        "user_taggedartists": b"userID\tartistID\ttagID\n1\t1\t7\n2\t1\t7\n1\t1\t8\n2\t2\t99\n",
        "user_artists": b"userID\tartistID\tweight\n1\t1\t13883\n1\t2\t5\n2\t1\t0\n2\t99\t4\n",
    } | replaced
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in members.items():
            if content is not None:
                file.writestr(f"{name}.dat", content)
    return packed.getvalue()


def test_the_lastfm_archive_gives_artists_as_tracks_and_common_tags_as_genres(load):
    (tracks, listens), rejects = load(import_lastfm, archive(), name="lastfm.zip")
    assert (tracks.created, listens.created) == (2, 2)
    track = Track.objects.select_related("artist").get(track_id="lastfm-artist-1")
    assert (track.name, track.artist.name) == ("Björk", "Björk")
    assert [genre.name for genre in track.genres.all()] == ["trip-hop"]  # the other has one tagger
    assert Track.objects.get(track_id="lastfm-artist-2").name == '"Quoted'
    counts = sorted(PlayCount.objects.values_list("listener__external_id", "plays"))
    assert counts == [("lastfm-1", 5), ("lastfm-1", 13883)]
    reasons = sorted((line, reason) for line, reason, *_ in rejects)
    assert reasons == [
        ("4", "artists.dat: name is empty"),
        ("4", "user_artists.dat: weight is 0, not between 1 and 2.14748e+09"),
        ("5", "the track 'lastfm-artist-99' is not in the catalogue"),
        ("5", "user_taggedartists.dat: tagID 99 is not in tags.dat"),
    ]


def test_the_lastfm_archive_may_be_imported_twice(load):
    load(import_lastfm, archive(), name="lastfm.zip")
    before = everything()
    (tracks, listens), _ = load(import_lastfm, archive(), name="lastfm.zip")
    assert (tracks.created, tracks.changed, listens.created, listens.changed) == (0, 0, 0, 0)
    assert everything() == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive(user_artists=None), "The archive has no user_artists.dat"),
        (archive(artists=None), "The archive has no artists.dat"),
        (archive(artists=b"id\turl\n"), "the column 'name' is missing"),
        (b"PK no archive", "is no archive that can be read"),
        (archive()[:-40], "is no archive that can be read"),
    ],
)
def test_another_archive_is_refused_and_changes_nothing(load, content, reason):
    with pytest.raises(ImportRefused, match=reason):
        load(import_lastfm, content, name="lastfm.zip")
    assert not Track.objects.exists()
    assert not Genre.objects.exists()


def test_the_commands_report_what_they_did_and_where_bad_rows_went(tmp_path, catalogue, capsys):
    path = tmp_path / "listens.csv"
    path.write_bytes(LISTENS + b"mia,zzz,1\n")
    call_command("import_listens", str(path), rejects=tmp_path / "bad.csv")
    out, err = capsys.readouterr()
    assert out.strip() == "3 listens new, 0 changed, 0 unchanged"
    assert "listens.csv, line 5: the track 'zzz' is not in the catalogue" in err
    assert f"1 bad rows were left out; they are in {tmp_path / 'bad.csv'}" in err


def test_a_command_given_no_file_says_so_plainly(tmp_path):
    with pytest.raises(CommandError, match="is not a file"):
        call_command("import_tracks", str(tmp_path / "none.csv"))


def test_rejects_that_cannot_be_written_are_said_plainly_and_nothing_is_changed(
    tmp_path, catalogue
):
    path = tmp_path / "listens.csv"
    path.write_bytes(LISTENS + b"mia,zzz,1\n")
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("import_listens", str(path), rejects=tmp_path / "taken" / "bad.csv")
    assert not PlayCount.objects.exists()
