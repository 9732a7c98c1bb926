"""Downloads from a local server: checked, kept, and refused when they are not what was expected."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import causalkit as ck
from causalkit.datasets.catalog import CATALOG, Dataset

CONTENT = b"id,arm,spend\n1,coupon,2.5\n2,none,0\n"


@pytest.fixture
def server(monkeypatch, tmp_path):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path == "/small.csv" else 404)
            self.end_headers()
            if self.path == "/small.csv":
                self.wfile.write(CONTENT)

        def log_message(self, *args):
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{listening.server_port}/small.csv"
    entry = Dataset("small.csv", 2, "about", "source", "licence", hashlib.sha256(CONTENT).hexdigest(), url)
    monkeypatch.setitem(CATALOG, "small", entry)
    monkeypatch.setenv("CAUSALKIT_DATA", str(tmp_path / "cache"))
    yield entry, asked, tmp_path / "cache"
    listening.shutdown()
    listening.server_close()


def test_a_file_is_downloaded_once(server):
    _, asked, cache = server
    table = ck.datasets.load("small")
    assert table["arm"].tolist() == ["coupon", "none"]
    assert ck.datasets.load("small").equals(table)
    assert asked == ["/small.csv"]
    assert [path.name for path in cache.iterdir()] == ["small.csv"]


def test_another_file_is_refused_and_not_kept(server, monkeypatch):
    entry, _, cache = server
    monkeypatch.setitem(CATALOG, "small", replace(entry, sha256="0" * 64))
    with pytest.raises(ck.DataError, match="another file than expected"):
        ck.datasets.load("small")
    assert not cache.exists()


def test_an_altered_copy_is_refused(server):
    _, _, cache = server
    ck.datasets.path_of("small").write_text("id\n1\n")
    with pytest.raises(ck.DataError, match="was altered") as error:
        ck.datasets.load("small")
    assert "Delete it" in error.value.hint
    assert (cache / "small.csv").is_file()


@pytest.mark.parametrize("bad", ["/absent.csv", None])
def test_an_address_that_does_not_answer_is_named(server, monkeypatch, bad):
    entry, _, _ = server
    url = entry.url.replace("/small.csv", bad) if bad else "http://127.0.0.1:9/small.csv"
    monkeypatch.setitem(CATALOG, "small", replace(entry, url=url))
    with pytest.raises(ck.DataError, match="can't download") as error:
        ck.datasets.load("small")
    assert "put the file at" in error.value.hint


def test_every_address_is_fixed_and_encrypted():
    for name, entry in CATALOG.items():
        if entry.url:
            assert entry.url.startswith("https://raw.githubusercontent.com/"), name
            assert len(entry.url.split("/")[5]) == 40, name  # a commit, not a branch that moves
            assert len(entry.sha256) == 64, name
