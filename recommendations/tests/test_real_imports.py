"""The data sets that people bring: read where they lie beside the project, skipped elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from accounts.models import Listener
from recommendations.models import PlayCount
from recommendations.services.imports.lastfm import import_lastfm
from recommendations.services.imports.reading import Rejects

SHARED = Path(
    os.environ.get("MUSICREC_SHARED", django_settings.BASE_DIR.parent / "shared" / "data")
)
real_data = pytest.mark.skipif(
    not (SHARED / "listening").is_dir(), reason=f"there is no {SHARED / 'listening'}"
)

_IMPORT_AND_MEASURE = """
import json, resource, sys
from pathlib import Path
import django
django.setup()
from recommendations.services.imports.listens import import_listens
from recommendations.services.imports.reading import Rejects
from recommendations.services.imports.tracks import import_tracks

folder, rejects_path = map(Path, sys.argv[1:])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
counts = []
for importer, name in ((import_tracks, "tracks.csv"), (import_listens, "listens.csv.gz")):
    with Rejects(name, rejects_path) as rejects:
        report = importer(folder / name, rejects=rejects)
    counts += [report.created, rejects.count]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"counts": counts, "grown_mb": grown / 1024}))
"""


@real_data
@pytest.mark.usefixtures("committed")
def test_the_real_listening_loads_whole_within_500_mb(child_environment, tmp_path):
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-c", _IMPORT_AND_MEASURE, SHARED / "listening", tmp_path / "bad.csv"],
        env=child_environment,
        cwd=django_settings.BASE_DIR,
        stdout=subprocess.PIPE,
        check=True,
    )
    measured = json.loads(done.stdout)
    assert measured["counts"] == [5734, 0, 197_249, 0]
    assert PlayCount.objects.count() == 197_249
    assert Listener.objects.count() == 1850
    assert measured["grown_mb"] < 500


@real_data
@pytest.mark.django_db
def test_the_real_lastfm_archive_loads_whole(tmp_path):
    path = SHARED / "lastfm-2k" / "hetrec2011-lastfm-2k.zip"
    with Rejects(path.name, tmp_path / "bad.csv") as rejects:
        tracks, listens = import_lastfm(path, rejects=rejects)
    assert (tracks.created, listens.created) == (17_632, 92_834)
