import gzip

import pytest

from recommendations.models import Artist, AuditEntry, CatalogueUpload, ServingState, Track
from recommendations.services import uploads
from recommendations.services.catalogue import set_visibility
from recommendations.services.imports.reading import ImportRefused
from recommendations.serving import state
from recommendations.tests.factories import NOW, make_artist, make_track, make_user

pytestmark = pytest.mark.django_db

CSV = b"""track_id,name,artist,genres,year,energy
a1,First,One,pop;rock,1999,0.5
a2,Second,One,pop,2001,7
a3,Third,Two,pop,2001,0.5
a4,Fourth
"""


def preview(content=CSV, name="new.csv"):
    return uploads.preview(name=name, content=content, by=make_user(), at=NOW)


def test_a_preview_says_what_would_happen_and_changes_nothing():
    before = ServingState.objects.values_list("catalogue_version", flat=True).first()
    upload = preview()
    assert (upload.created, upload.changed, upload.n_rejects) == (2, 0, 2)
    assert [(r["line"], r["reason"]) for r in upload.rejects] == [
        (3, "energy is 7, not between 0 and 1"),
        (5, "2 columns instead of 6"),
    ]
    assert upload.sample[0][:3] == ["track_id", "name", "artist"]
    assert not Track.objects.filter(track_id="a1").exists()
    assert ServingState.objects.values_list("catalogue_version", flat=True).first() == before


def test_confirming_imports_the_good_rows_and_empties_the_file():
    upload = uploads.confirm(preview(), by=make_user(), at=NOW)
    assert set(Track.objects.values_list("track_id", flat=True)) == {"a1", "a3"}
    assert (upload.status, upload.created, bytes(upload.content)) == ("imported", 2, b"")
    assert AuditEntry.objects.filter(act="imported", subject="new.csv").exists()


def test_a_file_is_decided_on_once():
    upload = preview()
    uploads.discard(upload, at=NOW)
    with pytest.raises(uploads.AlreadyDecided, match="discarded before"):
        uploads.confirm(upload, by=make_user(), at=NOW)
    assert not Track.objects.exists()


def test_a_compressed_file_is_read_as_such():
    assert preview(gzip.compress(CSV), "new.csv.gz").created == 2


@pytest.mark.parametrize(
    ("content", "name"), [(b"", "a.csv"), (b"x,y\n1,2\n", "a.csv"), (b"\x1f\x8bno", "a.csv.gz")]
)
def test_what_is_no_catalogue_is_refused_with_the_reason(content, name):
    with pytest.raises(ImportRefused):
        preview(content, name)
    assert not CatalogueUpload.objects.exists()


def test_a_file_name_is_only_a_name():
    assert preview(name="../../etc/pass<b>wd.csv").name == "pass_b_wd.csv"
    assert preview(name="..").name == "catalogue.csv"


def test_rejects_are_downloaded_without_formulas():
    content = b"track_id,name,artist\n=cmd(),First\n"
    text = uploads.rejects_as_csv(preview(content))
    assert text.splitlines() == ["line,reason,row", "2,2 columns instead of 3,'=cmd(),First"]


def test_hiding_an_artist_takes_all_their_tracks_off_every_list_later_ones_too():
    artist = make_artist("Two")
    make_track(artist="Two", track_id="old")
    set_visibility(artist, is_active=False, by=make_user(), at=NOW, reason="rights")
    make_track(artist="Two", track_id="new")
    assert list(state.current().catalogue.track_ids) == []
    set_visibility(Artist.objects.get(), is_active=True, by=make_user(), at=NOW)
    state.forget()
    assert sorted(state.current().catalogue.track_ids) == ["new", "old"]
    assert [e.act for e in AuditEntry.objects.order_by("pk")] == ["hidden", "shown again"]
