"""Against a local server, which also stands for a public address where a test needs one."""

import gzip
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from urllib3.util import connection as urllib3_connection

from recommendations.models import AuditEntry, CatalogueUpload, Track
from recommendations.services.imports import downloading
from recommendations.services.imports.downloading import DownloadRefused, download
from recommendations.tests.factories import make_user

CSV = b"track_id,name,artist\na1,First,One\n"
PUBLIC = "93.184.215.14"


class Server:
    """Answers from `answers`: by path, a status, headers and the pieces of a body."""

    def __init__(self):
        self.answers, self.paths = {}, []
        outer = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.paths.append(self.path)
                status, headers, pieces = outer.answers[self.path]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in pieces:
                    self.wfile.write(piece)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def gives(self, path, body=CSV, status=200, **headers):
        self.answers[path] = (status, headers, [body])
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def network(server, monkeypatch):
    """Resolve `names` (the last answer stays), and lead what goes to PUBLIC to the local server."""

    class Network:
        names = {"files.example": [PUBLIC]}
        connected = []

    resolve, connect = socket.getaddrinfo, urllib3_connection.create_connection

    def getaddrinfo(host, port, *rest, **more):
        answers = Network.names.get(host, [host])
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return resolve(address, port, *rest, **more)

    def create_connection(address, *rest, **more):
        Network.connected.append(address[0])
        assert address[0] == PUBLIC
        return connect(("127.0.0.1", server.port), *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(urllib3_connection, "create_connection", create_connection)
    Network.connected.clear()
    return Network


@pytest.fixture
def private(settings):
    settings.IMPORT_PRIVATE = True


def fetch(address, folder, *, most_bytes=1000, seconds=5.0):
    return download(address, folder, most_bytes=most_bytes, seconds=seconds)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0.0.0.0",  # noqa: S104 (asked for, not listened on)
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00::1]",
        "224.0.0.1",
    ],
)
def test_an_address_inside_is_refused_before_it_is_asked(server, monkeypatch, tmp_path, host):
    monkeypatch.setattr(
        urllib3_connection, "create_connection", lambda *_, **__: pytest.fail("was asked")
    )
    with pytest.raises(DownloadRefused, match="private network"):
        fetch(f"http://{host}:{server.port}/a.csv", tmp_path)
    assert server.paths == []


def test_a_name_that_leads_inside_is_refused(network, server, tmp_path):
    network.names["files.example"] = ["10.1.2.3"]
    with pytest.raises(DownloadRefused, match="private network"):
        fetch("http://files.example/a.csv", tmp_path)
    assert network.connected == []


def test_a_name_that_changes_is_resolved_once(network, server, tmp_path):
    server.gives("/a.csv")
    network.names["files.example"] = [PUBLIC, "127.0.0.1"]
    assert fetch("http://files.example/a.csv", tmp_path).read_bytes() == CSV
    assert network.connected == [PUBLIC]


@pytest.mark.parametrize("inside", ["http://169.254.169.254/latest", "http://localhost/"])
def test_a_redirect_inside_is_not_followed(network, server, tmp_path, inside):
    server.gives("/a.csv", status=302, Location=inside)
    with pytest.raises(DownloadRefused, match="private network"):
        fetch("http://files.example/a.csv", tmp_path)
    assert network.connected == [PUBLIC]


def test_a_redirect_outside_is_followed_and_names_the_file(network, server, tmp_path):
    server.gives("/latest", status=302, Location="/2026/tracks.csv")
    server.gives("/2026/tracks.csv")
    path = fetch("http://files.example/latest", tmp_path)
    assert (path.name, path.read_bytes()) == ("tracks.csv", CSV)


def test_redirects_without_end_are_refused(private, server, tmp_path):
    address = server.gives("/round", status=302, Location="/round")
    with pytest.raises(DownloadRefused, match="without end"):
        fetch(address, tmp_path)
    assert len(server.paths) == 1 + downloading.MOST_REDIRECTS


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("file:///etc/passwd", "must begin with"),
        ("ftp://files.example/a.csv", "must begin with"),
        ("https://", "must begin with"),
        ("http://user:secret@files.example/a.csv", "name or password"),
        ("http://127.0.0.1:9/a.csv", "does not answer"),
        ("http://" + "a" * 70 + ".example/", "does not answer"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(private, tmp_path, address, reason):
    with pytest.raises(DownloadRefused, match=reason) as refusal:
        fetch(address, tmp_path)
    assert "secret" not in str(refusal.value)


def test_an_answer_that_is_no_file_is_refused(private, server, tmp_path):
    with pytest.raises(DownloadRefused, match="answers 404"):
        fetch(server.gives("/a.csv", status=404), tmp_path)


def test_more_bytes_than_allowed_are_not_kept(private, server, tmp_path):
    address = server.gives("/a.csv", b"x" * 2000)  # of unstated length
    with pytest.raises(DownloadRefused, match="more than the 1,000 bytes"):
        fetch(address, tmp_path)


def test_a_file_that_breaks_off_is_refused(private, server, tmp_path):
    address = server.gives("/a.csv", b"x" * 10, **{"Content-Length": "500"})
    with pytest.raises(DownloadRefused, match="breaks off"):
        fetch(address, tmp_path)


def test_a_server_that_drips_is_not_waited_for(private, server, tmp_path):
    done = threading.Event()

    def drip():
        while not done.wait(0.02):
            yield b"x"

    server.answers["/a.csv"] = (200, {}, drip())
    try:
        with pytest.raises(DownloadRefused, match="in time"):
            fetch(f"http://127.0.0.1:{server.port}/a.csv", tmp_path, seconds=0.2)
    finally:
        done.set()


def test_one_download_at_a_time(private, server, tmp_path):
    address = server.gives("/a.csv")
    with downloading._one_at_a_time, pytest.raises(DownloadRefused, match="under way"):
        fetch(address, tmp_path)
    assert fetch(address, tmp_path).exists()  # and the turn was given back


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/a.csv.gz", {}, "a.csv.gz"),
        ("/a.csv", {"Content-Encoding": "gzip"}, "a.csv.gz"),
        ("/export?day=1", {}, "export.gz"),
        ("/", {}, "download.gz"),
        ("/..%2F..%2Fetc%2Fpass%3Cb%3Ewd", {}, "pass_b_wd.gz"),
    ],
)
def test_what_is_compressed_is_named_so(private, server, tmp_path, path, headers, name):
    got = fetch(server.gives(path, gzip.compress(CSV), **headers), tmp_path)
    assert (got.name, got.parent) == (name, tmp_path)
    assert gzip.decompress(got.read_bytes()) == CSV


@pytest.mark.django_db
def test_a_command_imports_from_an_address(private, server):
    call_command("import_tracks", server.gives("/tracks.csv.gz", gzip.compress(CSV)))
    assert Track.objects.get().track_id == "a1"


@pytest.mark.django_db
def test_a_command_says_why_an_address_was_not_asked(server):
    with pytest.raises(CommandError, match="private network"):
        call_command("import_tracks", server.gives("/tracks.csv"))
    assert server.paths == []


@pytest.fixture
def staff(client):
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


@pytest.mark.django_db
def test_staff_preview_a_catalogue_by_its_address(private, server, staff):
    address = server.gives("/tracks.csv?signature=secret")
    page = staff.post(reverse("catalogue-upload"), {"address": address}, follow=True)
    assert b"Would be new" in page.content
    assert CatalogueUpload.objects.get().created == 1
    entry = AuditEntry.objects.get(act="fetched")
    assert entry.words == "from 127.0.0.1/tracks.csv"
    assert not Track.objects.exists()


@pytest.mark.django_db
def test_the_page_says_what_was_wrong_with_an_address(server, staff):
    address = server.gives("/tracks.csv")
    page = staff.post(reverse("catalogue-upload"), {"address": address})
    assert page.status_code == 400
    assert b"private network" in page.content
    assert f'value="{address}"'.encode() in page.content
    assert server.paths == []


@pytest.mark.django_db
def test_the_page_wants_a_file_or_an_address(staff):
    page = staff.post(reverse("catalogue-upload"), {})
    assert page.status_code == 400
    assert b"one of the two" in page.content
