"""Downloads from a server on this machine that does what servers do wrong, and zips meant ill."""

import errno
import hashlib
import io
import os
import random
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from minicyclegan import InputError
from minicyclegan.lab import download as module
from minicyclegan.lab.download import DATASETS, download

COUNTS = {"testA": 1, "testB": 2, "trainA": 3, "trainB": 4}


def files(top="set/"):
    """Looks are not checked here, so any bytes do."""
    return {f"{top}{split}/{i}.jpg": random.Random(f"{split}{i}").randbytes(2000)
            for split, count in COUNTS.items() for i in range(count)}


def zipped(content):
    """A zip of (name or ZipInfo, bytes)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in content.items() if isinstance(content, dict) else content:
            out.writestr(name, data)
    return file.getvalue()


SET = zipped(files())


def send(body=SET, length=None, cut=None):
    """An answer with a body that breaks off after `cut` bytes."""
    def answer(handler):
        handler.send_response(200)
        if length != "none":
            handler.send_header("Content-Length", str(length or len(body)))
        handler.end_headers()
        handler.wfile.write(body[:cut])
    return answer


def fail(code):
    return lambda handler: handler.send_error(code)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Does what `answer` says, in a fresh folder."""
    state = SimpleNamespace(answer=send(), asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append(self.path)
            state.answer(self)

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/set.zip"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def whole(folder):
    there = {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*.*")}
    return there == files(top="")


def refused(source, message, name="mine"):
    """One sentence, and nothing is left on the disk."""
    with pytest.raises(InputError, match=message) as error:
        download(name, source)
    assert "\n" not in str(error.value)
    return not Path("data").exists() or os.listdir("data") == []


def set_table(monkeypatch, body):
    monkeypatch.setitem(DATASETS, "maps", hashlib.sha256(body).hexdigest())


def test_one_of_the_papers_sets(server, monkeypatch, capsys):
    monkeypatch.setattr(module, "BASE", server.url.replace("set.zip", "sets/"))
    set_table(monkeypatch, SET)
    assert download("maps") == (COUNTS, 0)
    assert server.asked == ["/sets/maps.zip"]
    assert whole("data/maps") and os.listdir("data") == ["maps"]
    assert "maps.zip:   0%" in capsys.readouterr().err  # the progress bar


def test_the_authors_zips():
    assert module.BASE == "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/"
    assert len(DATASETS) == len(set(DATASETS.values())) == 11
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in DATASETS.values())
    assert DATASETS["horse2zebra"].startswith("a74d9d39")


def test_another_zip_under_their_name(server, monkeypatch):
    set_table(monkeypatch, SET)
    for body in (zipped(files(top="")), SET[:-1] + b"x"):
        server.answer = send(body)
        assert refused(server.url, "not the authors' maps.zip .another SHA-256.*NAME of its own",
                       "maps")
    server.answer = send()
    assert download("maps", server.url) == (COUNTS, 0)


def test_a_zip_on_this_disk(server, tmp_path):
    path = tmp_path / "my set.zip"
    more = {"set/readme.txt": b"", "set/trainA/._0.jpg": b"", "set/more/0.jpg": b"", "0.jpg": b"",
            "set/trainA/x.exe": b"", "set/trainB/": b"", "c:/x.jpg": b""}
    path.write_bytes(zipped(files() | more))
    assert download("mine", path, "deep/er/ones") == (COUNTS, 6)
    assert whole("deep/er/ones") and os.listdir("deep/er") == ["ones"] and not server.asked
    path.write_bytes(zipped(files(top="")))  # the folders at the top
    assert download("mine", path) == (COUNTS, 0) and whole("data/mine")


@pytest.mark.parametrize("source, name, message", [
    (None, "cat2dog", "cat2dog is not one of.*horse2zebra.*--from"),
    ("nowhere.zip", "mine", "neither a file nor"), ("ftp://127.0.0.1/x", "mine", "neither a file"),
    ("http://[x", "mine", "did not arrive .Invalid.*name another address")])
def test_names_and_sources(source, name, message, server):
    assert refused(source, message, name) and not server.asked


def test_nothing_that_exists_is_touched(server):
    os.makedirs("data/mine")
    os.symlink("nowhere", "data/link")
    for name in ("mine", "link"):
        with pytest.raises(InputError, match=f"data/{name} exists"):
            download(name, server.url)
    assert sorted(os.listdir("data")) == ["link", "mine"] and not server.asked


def test_names_that_windows_cannot_have(server):
    server.answer = send(zipped(files() | {"set/trainA/2010-09-07 12:23:20.jpg": b"x"}))
    assert download("mine", server.url)[0]["trainA"] == 4
    assert Path("data/mine/trainA/2010-09-07 12_23_20.jpg").read_bytes() == b"x"


@pytest.mark.parametrize("answer, message", [
    (send(cut=5500), f"did not arrive .5500 of {len(SET)} bytes have arrived.*try again"),
    (send(b"", "none"), "0 of all"), (send(length="x"), "invalid literal"),
    (fail(500), "HTTP Error 500"), (fail(404), "HTTP Error 404"),
    (send(b"\n<html>Moved.</html>"), "is damaged, or not a zip .File is not a zip file"),
    (send(length="none", cut=5500), "is damaged, or not a zip")])
def test_no_zip_arrives(answer, message, server):
    server.answer = answer
    assert refused(server.url, f"{server.url} .*{message}.*--from") and len(server.asked) == 1


def test_silent_server(server, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    over = threading.Event()
    server.answer = lambda handler: over.wait(5)
    assert refused(server.url, "timed out.*try again")
    over.set()


def test_no_room(server, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfileobj", full)
    assert refused(server.url, "No space left on device")
    Path("x.zip").write_bytes(SET)
    with pytest.raises(OSError, match="No space left on device"):  # the command line tells of it
        download("mine", "x.zip")
    assert os.listdir("data") == []


@pytest.mark.parametrize("at", ["copyfileobj", "rename"])
def test_ctrl_c(at, server, monkeypatch):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.shutil if at == "copyfileobj" else module.os, at, stopped)
    with pytest.raises(KeyboardInterrupt):
        download("mine", server.url)
    assert os.listdir("data") == []


# Zips meant ill

@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_nothing_leads_out_of_the_folder(server, tmp_path):
    """Whatever an entry is called, only images of the four splits are written, below the folder."""
    link = zipfile.ZipInfo("set/trainA/link.jpg")
    link.external_attr = 0o120777 << 16
    bad = ("../x.jpg", "../../trainA.jpg", "/x.jpg", "a\\x.jpg", "set/trainA/..",
           "set/trainA/../x.jpg", "set/trainA/a\n.jpg", "set/trainB/..\\..\\x.jpg",
           "set/trainA/0.jpg", link)
    there = set(os.listdir())
    Path("x.zip").write_bytes(zipped([*((name, b"/etc/hostname") for name in bad),
                                      *files().items()]))
    download("mine", "x.zip")
    assert set(os.listdir()) == there | {"x.zip", "data"} and os.listdir("data") == ["mine"]
    found = [p for p in Path("data/mine").rglob("*") if not p.is_dir()]
    assert not any(p.is_symlink() for p in found)
    assert len(found) == sum(COUNTS.values()) + 2 and {p.parent.name for p in found} == set(COUNTS)
    assert Path("data/mine/trainA/0.jpg").read_bytes() == files()["set/trainA/0.jpg"]


def refused_zip(body, message):
    Path("x.zip").write_bytes(body)
    return refused("x.zip", message)


def test_another_layout(server):
    for more in ("SET/trainA/x.jpg", "set/trainA/trainB/x.jpg"):
        assert refused_zip(zipped(files() | {more: b"x"}), "one folder trainA and one trainB")
    assert refused_zip(zipped({"trainA/x.jpg": b"x"}), "one folder trainA and one trainB")


def test_no_zip(server):
    assert refused_zip(b"", "x.zip is damaged, or not a zip.*get it again")
    assert refused_zip(SET[:-100], "is damaged")
    encrypted = bytearray(SET)
    encrypted[encrypted.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    assert refused_zip(encrypted, "is encrypted, password required")


def test_bombs(server):
    bomb = zipped(files() | {"set/trainA/x.jpg": bytes(2**23)})
    assert refused_zip(bomb, "would unpack to 8 MB")


def test_any_damage_gets_a_sentence(server):
    """Bytes changed by chance, and cuts: no other exception, no half a set."""
    rng = random.Random(0)
    for i in range(150):
        data = bytearray(SET)
        where = [0, SET.index(b"PK\1\2")][i % 2]  # anywhere, or in the directory
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(where, len(data))] = rng.randrange(256)
        Path("x.zip").write_bytes(data[:rng.randrange(len(data))] if i % 10 == 0 else data)
        try:
            download(f"set{i}", "x.zip")
        except InputError:
            assert not Path(f"data/set{i}").exists()
    assert not list(Path("data").glob(".*"))
