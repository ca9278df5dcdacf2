"""Downloads from a server on this machine that does everything a server can do wrong."""

import io
import os
import random
import re
import socket
import stat
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from minicyclegan.download import DATASETS, SPLITS, download

from minicyclegan import download as module
from minicyclegan.__main__ import main

COUNTS = dict(trainA=3, trainB=4, testA=1, testB=2)
LATE = threading.Event()  # set when a test is over, so that no thread of a server stays behind


def pixels(seed, length=2000):
    return random.Random(seed).randbytes(length)  # looks are not checked here, so any bytes do


def files(counts=COUNTS, top="set/", length=2000):
    return {f"{top}{split}/{i}.jpg": pixels(f"{split}{i}", length)
            for split, count in counts.items() for i in range(count)}


def zipped(content, kind=zipfile.ZIP_STORED):
    """A zip of {name, or a ZipInfo: bytes}."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as out:
        for name, data in content.items() if isinstance(content, dict) else content:
            out.writestr(name, data)
    return file.getvalue()


SET = zipped(files())
OTHER = zipped(files(length=2001))  # another version of it


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
            for p in sorted(folder.rglob("*"))}


def unpacked(folder, top="set/", length=2000):
    """Does folder hold the images of files(), whole, and nothing else?"""
    there = {k: v for k, v in tree(folder).items() if v is not None}
    return there == files(top="", length=length)


# What the server may do. Each takes (handler, start): start from the Range header, None without.

def send(body=SET, tag='"one"', length=None, cut=None, ranges=True, if_range=True, **headers):
    """An answer with this body. length: what Content-Length says, if not the truth; cut: close
    after so many bytes; ranges, if_range: whether the headers Range and If-Range are obeyed."""
    def answer(handler, start):
        if not ranges or (if_range and handler.headers["If-Range"] != tag):
            start = None
        if start is not None and start >= len(body):
            return fail(416)(handler, start)
        handler.send_response(200 if start is None else 206)
        rest = body[start or 0:]
        if tag:
            handler.send_header("ETag", tag)
        if start is not None:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if length != "none":
            handler.send_header("Content-Length", str(length or len(rest)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(rest[:cut])
    return answer


def fail(code):
    return lambda handler, start: handler.send_error(code)


def lead(to):
    def answer(handler, start):
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.end_headers()
    return answer


def stall(handler, start):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(SET)))
    handler.end_headers()
    handler.wfile.write(SET[:3000])
    handler.wfile.flush()
    LATE.wait(20)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Does what `answers` lists, one a request, the last one again and again; in a fresh folder."""
    state = SimpleNamespace(answers=[send()], asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append((self.path, self.headers))
            answer = state.answers[min(len(state.asked), len(state.answers)) - 1]
            span = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            answer(self, int(span[1]) if span else None)

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.base = f"http://127.0.0.1:{http.server_port}/"
    state.url = state.base + "set.zip"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "PAUSES", (0, 0.01, 0.02))
    monkeypatch.setattr(module, "CHUNK", 1000)
    monkeypatch.chdir(tmp_path)
    LATE.clear()
    yield state
    LATE.set()
    http.shutdown()
    thread.join()
    http.server_close()


def get(url, name="mine", *more):
    return main(["download", name, "--from", str(url), *more])


def refused(capsys, *words, code=2):
    """The last line that was printed, which has to hold all words."""
    lines = capsys.readouterr().err.splitlines()
    line = next(line for line in reversed(lines) if line.startswith("minicyclegan download: "))
    assert line == lines[-1] and "Traceback" not in line
    for word in words:
        assert str(word) in line, line
    return True


PART = Path("data/.mine.zip.part")


# The way that everybody goes

def test_one_of_the_papers_sets(server, monkeypatch, capsys):
    monkeypatch.setattr(module, "BASE", server.base + "sets/")
    counts = dict(zip(SPLITS, DATASETS["horse2zebra"], strict=True))
    server.answers = [send(zipped(files(counts, "horse2zebra/", 10)))]
    assert main(["download", "horse2zebra"]) == 0
    assert [path for path, _ in server.asked] == ["/sets/horse2zebra.zip"]
    assert {s: len(os.listdir(f"data/horse2zebra/{s}")) for s in SPLITS} == {
        "trainA": 1067, "trainB": 1334, "testA": 120, "testB": 140}
    assert os.listdir("data") == ["horse2zebra"]
    captured = capsys.readouterr()
    assert "1067 images in trainA" in captured.out and "left out" not in captured.out
    assert captured.out.endswith("  minicyclegan train --preset paper --data data/horse2zebra\n")
    assert "horse2zebra.zip:   0%" in captured.err  # the progress bar


def test_the_authors_address_and_names():
    assert module.BASE == "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/"
    text = (Path(__file__).parent.parent / "data" / "README.md").read_text()
    assert module.BASE in text
    table = {name: tuple(map(int, numbers.split("|"))) if numbers.strip("| ") else None
             for name, numbers in re.findall(r"^\| (\w+2?\w*) \| ([\d |]*)\|$", text, re.M)}
    assert table == {k: v for k, v in DATASETS.items() if k != "cityscapes"}
    assert "cityscapes" in DATASETS and "cityscapes is a name too" in text


def test_unknown_name_gets_the_list(capsys):
    assert main(["download", "cat2dog"]) == 2
    refused(capsys, "cat2dog", *DATASETS, "--from")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "/x", "-x", ".x", "c:x",
                                  "x\n"])
def test_names_of_folders_only(name, server):
    with pytest.raises(module.InputError, match="not a plain folder name"):
        download(name, server.url)
    assert not server.asked and not tree(Path())


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_zip_on_this_disk(form, server, tmp_path, capsys):
    path = tmp_path / "my set.zip"
    path.write_bytes(SET)
    source = form.format(str(path).replace(" ", "%20") if "://" in form else path)
    assert get(source, "mine", "--out", "deep/er/ones") == 0
    assert unpacked(Path("deep/er/ones")) and path.read_bytes() == SET
    assert os.listdir("deep/er") == ["ones"] and not server.asked


@pytest.mark.parametrize("source", ["nowhere.zip", "ftp://127.0.0.1/x.zip", ".", "file://nowhere"])
def test_neither_file_nor_address(source, server, capsys):
    assert get(source) == 2
    refused(capsys, f"--from {source} is neither")
    assert not tree(Path())


def test_function_returns_counts(server):
    assert download("mine", server.url) == (dict(sorted(COUNTS.items())), 0)
    assert unpacked(Path("data/mine"))


def test_nothing_that_exists_is_touched(server, tmp_path, capsys):
    Path("data/mine").mkdir(parents=True)
    Path("data/file").write_text("mine")
    os.symlink("nowhere", "data/link")
    before = tree(tmp_path)
    for name in ("mine", "file", "link"):
        assert get(server.url, name) == 2
        refused(capsys, f"data/{name} exists already")
    assert tree(tmp_path) == before and not server.asked


# Lines that break, servers that lie

def test_goes_on_where_it_broke_off(server, capsys):
    server.answers = [send(cut=5500), send(cut=4000), send()]
    assert get(server.url) == 0
    assert [h["Range"] for _, h in server.asked] == [None, "bytes=5500-", "bytes=9500-"]
    assert {h["If-Range"] for _, h in server.asked[1:]} == {'"one"'}
    assert unpacked(Path("data/mine")) and os.listdir("data") == ["mine"]
    assert f"5500 of {len(SET)} bytes" in capsys.readouterr().err


def test_a_later_call_goes_on(server, capsys):
    server.answers = [send(cut=5000)] * 4 + [send()]
    assert get(server.url) == 2  # 5000, and 5000 more with every try: 20000 of more
    refused(capsys, server.url, "did not arrive", "run this again", "--from")
    assert PART.read_bytes() == SET[:20000] and not Path("data/mine").exists()
    assert get(server.url) == 0
    assert server.asked[-1][1]["Range"] == "bytes=20000-" and len(server.asked) == 5
    assert unpacked(Path("data/mine")) and os.listdir("data") == ["mine"]


def test_pauses_grow(server, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(module, "PAUSES", (1, 4, 15))
    server.answers = [fail(503)]
    assert get(server.url) == 2
    assert slept == [1, 4, 15] and len(server.asked) == 4


def test_ctrl_c_keeps_what_has_arrived(server, monkeypatch, capsys):
    class Stopped(module.tqdm):
        def update(self, n=1):
            if self.n + n > 7000:
                raise KeyboardInterrupt
            super().update(n)

    with monkeypatch.context() as patch:
        patch.setattr(module, "tqdm", Stopped)
        assert get(server.url) == 130
    assert "interrupted" in capsys.readouterr().err
    assert PART.read_bytes() == SET[:8000]
    assert get(server.url) == 0
    assert server.asked[1][1]["Range"] == "bytes=8000-" and unpacked(Path("data/mine"))


def test_ctrl_c_while_unpacking(server, monkeypatch):
    def stopped(items, text=None, **rest):
        if text != "unpacking":
            return tqdm(items, text, **rest)
        yield from list(items)[:3]
        raise KeyboardInterrupt

    tqdm = module.tqdm
    with monkeypatch.context() as patch:
        patch.setattr(module, "tqdm", lambda *a, **k: stopped(*a, **k) if a else tqdm(**k))
        assert get(server.url) == 130
    assert sorted(os.listdir("data")) == [".mine.zip.from", PART.name]
    assert get(server.url) == 0
    assert len(server.asked) == 1  # all of it had arrived
    assert unpacked(Path("data/mine")) and os.listdir("data") == ["mine"]


def test_server_that_knows_no_ranges(server):
    server.answers = [send(cut=5500), send(ranges=False)]
    assert get(server.url) == 0
    assert server.asked[1][1]["Range"] and unpacked(Path("data/mine"))


@pytest.mark.parametrize("if_range", [True, False])
def test_file_that_changes_between_tries(if_range, server):
    server.answers = [send(cut=5500), send(OTHER, '"two"', if_range=if_range)]
    assert get(server.url) == 0
    assert [h["Range"] for _, h in server.asked] == [None, "bytes=5500-", None][:3 - if_range]
    assert unpacked(Path("data/mine"), length=2001)


def test_range_that_starts_elsewhere(server):
    def wrong(handler, start):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(SET) - 1}/{len(SET)}")
        handler.end_headers()
        handler.wfile.write(SET)

    server.answers = [send(cut=5500), wrong, send()]
    assert get(server.url) == 0
    assert unpacked(Path("data/mine")) and server.asked[2][1]["Range"] is None


@pytest.mark.parametrize("tag, headers, used", [
    (None, {}, None), ('W/"one"', {}, None), (None, {"Last_Modified": "Mon"}, "Mon"),
    ('W/"one"', {"Last_Modified": "Mon"}, "Mon"), ('"one"', {"Last_Modified": "Mon"}, '"one"')])
def test_what_vouches_for_the_same_file(tag, headers, used, server):
    server.answers = [send(tag=tag, cut=5500, **headers), send()]
    assert get(server.url) == 0
    assert server.asked[1][1]["If-Range"] == used
    assert server.asked[1][1]["Range"] == ("bytes=5500-" if used else None)
    assert unpacked(Path("data/mine"))


def test_part_of_another_address_is_not_used(server):
    server.answers = [send(OTHER, cut=5500), fail(404), send()]
    assert get(server.url) == get(server.url) == 2
    assert get(server.base + "mirror.zip") == 0
    assert server.asked[-1][1]["Range"] is None and unpacked(Path("data/mine"))


def test_damaged_note(server):
    Path("data").mkdir()
    for note in ("", "\n", server.url, server.url + "\n", server.url + '\n"on'):
        PART.write_bytes(OTHER[:5000])
        PART.with_suffix(".from").write_text(note)
        assert get(server.url, "mine") == 0
        assert unpacked(Path("data/mine"))
        os.rename("data/mine", f"x{len(server.asked)}")


def test_length_that_is_too_long(server, capsys):
    server.answers = [send(length=len(SET) + 100)]
    assert get(server.url) == 2
    refused(capsys, server.url, "did not arrive")
    assert not Path("data/mine").exists() and len(server.asked) == 4


def test_length_that_is_too_short(server, capsys):
    server.answers = [send(length=len(SET) - 100)]
    assert get(server.url) == 2
    refused(capsys, server.url, "is damaged, or not a zip")
    assert os.listdir("data") == []  # nothing to go on with: the next call starts over


def test_unknown_length(server, capsys):
    server.answers = [send(length="none")]
    assert get(server.url) == 0
    assert unpacked(Path("data/mine"))
    assert "mine.zip: 0.00B [" in capsys.readouterr().err  # a bar without an end
    server.answers = [send(length="none", cut=9000)]
    assert get(server.url, "other") == 2
    refused(capsys, "is damaged, or not a zip")


@pytest.mark.parametrize("body, word", [
    (b"<!DOCTYPE html><html>Moved.</html>", "a web page"), (b"\n <html>", "a web page"),
    (b"\x1f\x8b tar.gz", "something else")])
def test_no_zip_at_the_address(body, word, server, capsys):
    server.answers = [send(body)]
    assert get(server.url) == 2
    refused(capsys, server.url, f"sent {word} in place of a zip", "--from")
    assert len(server.asked) == 1 and os.listdir("data") == []


def test_web_page_does_not_cost_the_part(server):
    server.answers = [send(cut=5500), send(b"<html>Back soon</html>", "x"), send()]
    assert get(server.url) == 2 and PART.read_bytes() == SET[:5500]
    assert get(server.url) == 0 and server.asked[2][1]["Range"] == "bytes=5500-"


@pytest.mark.parametrize("code, requests", [(404, 1), (403, 1), (500, 4), (503, 4)])
def test_http_errors(code, requests, server, capsys):
    server.answers = [fail(code)]
    assert get(server.url) == 2
    refused(capsys, server.url, code, "--from")
    assert len(server.asked) == requests and os.listdir("data") == []


def test_error_that_passes(server):
    server.answers = [fail(503), send()]
    assert get(server.url) == 0 and unpacked(Path("data/mine"))


def test_stalled_server(server, monkeypatch, capsys):
    monkeypatch.setattr(module, "TIMEOUT", 0.15)
    server.answers = [stall]
    start = time.monotonic()
    assert get(server.url) == 2
    refused(capsys, server.url, "timed out")
    assert time.monotonic() - start < 5 and len(server.asked) == 4


def test_nobody_answers(server, capsys):
    with socket.socket() as closed:  # bound, but it does not listen
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x.zip"
        assert get(url) == 2
    refused(capsys, url, "refused")


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:x/a.zip", "http://127.0.0.1/a b.zip",
                                 "http://[/x.zip", "http://127.0.0.1/\u00e4.zip"])
def test_addresses_that_are_none(url, server, capsys):
    assert get(url) == 2
    refused(capsys, url, "is no address to download from")


def test_redirects(server, tmp_path, capsys):
    server.answers = [lead("/there.zip"), send()]
    assert get(server.url) == 0 and server.asked[1][0] == "/there.zip"
    (tmp_path / "x.zip").write_bytes(SET)
    for to in (f"file://{tmp_path}/x.zip", "ftp://127.0.0.1/x.zip", "data:,x"):
        server.answers = [lead(to)]
        assert get(server.url, "other") == 2
        refused(capsys, server.url, "ftp" if to.startswith("ftp") else "not allowed")
    assert not Path("data/other").exists()


# Disks that are full

def free(monkeypatch, size):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=size))


def test_disk_too_small_for_the_download(server, monkeypatch, capsys):
    free(monkeypatch, len(SET) - 1)
    assert get(server.url) == 2
    refused(capsys, "data", "free", "--out")
    assert os.listdir("data") == []
    free(monkeypatch, len(SET))  # and of the part, only the rest counts
    server.asked.clear()
    server.answers = [send(cut=5500), fail(404)]
    assert get(server.url) == 2
    free(monkeypatch, len(SET) - 5500)
    server.answers = [send()]
    server.asked.clear()
    monkeypatch.setattr(module, "unpack", lambda *a: pytest.skip("arrived"))
    with pytest.raises(pytest.skip.Exception):
        get(server.url)
    assert PART.read_bytes() == SET and server.asked[0][1]["Range"] == "bytes=5500-"


def test_disk_too_small_to_unpack(server, monkeypatch, capsys):
    packed = zipped({name: bytes(100_000) for name in files()}, zipfile.ZIP_DEFLATED)
    server.answers = [send(packed)]
    free(monkeypatch, 900_000)
    assert get(server.url) == 2
    refused(capsys, "1.0 MB are needed", "0.9 MB are free", "--out")
    assert not Path("data/mine").exists() and PART.read_bytes() == packed
    free(monkeypatch, 1_000_000)
    assert get(server.url) == 0 and len(server.asked) == 1


def test_endless_download(server, monkeypatch, capsys):
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    for length in (None, "none"):
        server.answers = [send(length=length)]
        assert get(server.url) == 2
        refused(capsys, server.url, "is larger than")
        assert not PART.exists() or PART.stat().st_size == 0


# What is in the zip

@pytest.mark.parametrize("top", ["", "set/", "horse2zebra/"])
def test_layouts(top, server, capsys):
    extra = {"readme.txt": b"x", f"{top}trainA/.DS_Store": b"x", f"{top}trainA/._0.jpg": b"x",
             f"__MACOSX/{top}trainA/._0.jpg": b"x", f"{top}trainA/deep/er/0.jpg": b"x",
             f"{top}trainA/script.py": b"x"}
    server.answers = [send(zipped({f"{top}trainA/": b"", **files(top=top), **extra}))]
    assert get(server.url) == 0
    assert unpacked(Path("data/mine"))
    assert "6 other files left out" in capsys.readouterr().out


def test_every_suffix_that_data_reads(server):
    names = [f"{split}/x{suffix}" for split in ("trainA", "trainB")
             for suffix in (*module.SUFFIXES, ".JPG")]
    server.answers = [send(zipped(dict.fromkeys(names, b"x")))]
    assert download("mine", server.url) == ({"trainA": 8, "trainB": 8}, 0)


@pytest.mark.parametrize("content", [
    {}, {"x.txt": b""}, {"train/x.jpg": b""}, {"trainA/x.jpg": b""}, {"trainB/x.jpg": b""},
    {"trainA/x.jpg": b"", "trainB/x.txt": b""}, {"trainA/x.jpg": b"", "set/trainB/x.jpg": b""},
    {"a/b/trainA/x.jpg": b"", "a/b/trainB/x.jpg": b""}, files() | files(top="")])
def test_no_data_set_in_it(content, server, capsys):
    server.answers = [send(zipped(content))]
    assert get(server.url) == 2
    refused(capsys, server.url, "should hold one folder trainA and one trainB with images")
    assert os.listdir("data") == []


def test_counts_must_agree(server, capsys, monkeypatch):
    monkeypatch.setitem(DATASETS, "maps", (3, 4, 1, 2))
    server.answers = [send(zipped({k: v for k, v in files().items() if k != "set/trainB/2.jpg"}))]
    assert get(server.url, "maps") == 2
    refused(capsys, server.url, "3 trainA, 3 trainB, 1 testA, 2 testB", "3, 4, 1, 2 images of maps")
    assert os.listdir("data") == []
    assert get(server.url, "my_maps") == 0  # under a name of its own it may have what it has
    server.answers = [send()]
    assert get(server.url, "maps") == 0
    assert get(server.url, "cityscapes") == 0  # whose counts are not known


def entry(name, mode=0, **fields):
    info = zipfile.ZipInfo("x")
    info.filename = name  # as it is: the constructor would cut it at a NUL
    info.external_attr = mode << 16
    for key, value in fields.items():
        setattr(info, key, value)
    return info


HOSTILE = {
    "parent": (entry("../out.jpg"), "could lead out"),
    "parent inside": (entry("set/../../out.jpg"), "could lead out"),
    "parent at the end": (entry("set/trainA/.."), "could lead out"),
    "here": (entry("./out.jpg"), "could lead out"),
    "absolute": (entry("/tmp/out.jpg"), "could lead out"),
    "double slash": (entry("set//out.jpg"), "could lead out"),
    "drive": (entry("C:/out.jpg"), "could lead out"),
    "drive inside": (entry("set/C:/out.jpg"), "could lead out"),
    "backslash": (entry("..\\out.jpg"), "could lead out"),
    "NUL": (entry("set/trainA/x.jpg\0.txt"), "could lead out"),
    "newline": (entry("set/trainA/x\n.jpg"), "could lead out"),
    "link": (entry("set/trainA/link.jpg", stat.S_IFLNK | 0o777), "is a link or a special"),
    "link to skip": (entry("set/link", stat.S_IFLNK | 0o777), "is a link or a special"),
    "pipe": (entry("set/trainA/pipe.jpg", stat.S_IFIFO | 0o777), "is a link or a special"),
    "device": (entry("set/trainA/device.jpg", stat.S_IFBLK | 0o777), "is a link or a special"),
    "twice": (entry("set/trainA/0.jpg"), "is there twice"),
    "folder and file": (entry("set/trainA/0.jpg/"), "is there twice"),
    "method": (entry("set/trainA/x.jpg", compress_type=zipfile.ZIP_LZMA), "is packed in a way"),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_entries(case, local, server, tmp_path, capsys):
    bad, reason = HOSTILE[case]
    data = zipped([*files().items(), (bad, b"" if bad.filename.endswith("/") else b"/etc/x")])
    server.answers = [send(data)]
    Path("data").mkdir()
    (tmp_path / "x.zip").write_bytes(data)
    before = tree(tmp_path)
    assert get(tmp_path / "x.zip" if local else server.url) == 2
    refused(capsys, "x.zip" if local else server.url, f"{bad.filename!r} {reason}")
    assert tree(tmp_path) == before
    assert not (tmp_path.parent / "out.jpg").exists() and not Path("/tmp/out.jpg").exists()


def test_name_that_an_extra_field_changes(server, tmp_path):
    """Python 3.12 and later take filename from this field, if its checksum fits."""
    import struct
    import zlib
    name, harm = "set/trainA/x.jpg", b"../../../out.jpg"
    extra = struct.pack("<BL", 1, zlib.crc32(name.encode())) + harm
    bad = entry(name, extra=struct.pack("<HH", 0x7075, len(extra)) + extra)
    server.answers = [send(zipped([*files().items(), (bad, b"x")]))]
    assert get(server.url) == 0
    assert Path("data/mine/trainA/x.jpg").read_bytes() == b"x"
    assert not list(tmp_path.parent.rglob("out.jpg"))


def test_encrypted(server, capsys):
    data = bytearray(SET)
    at = data.rindex(b"PK\1\2")  # the last entry of the directory; its flags are at 8
    data[at + 8] |= 1
    server.answers = [send(bytes(data))]
    assert get(server.url) == 2
    refused(capsys, server.url, "'set/testB/1.jpg' is encrypted")
    assert os.listdir("data") == []


def test_bombs(server, monkeypatch, capsys):
    bomb = zipped(files() | {"set/trainA/x.png": bytes(2**21)}, zipfile.ZIP_DEFLATED)
    plain = zipped(files() | {"set/trainA/x.png": bytes(2**20)}, zipfile.ZIP_DEFLATED)
    server.answers = [send(bomb), send(plain)]
    assert get(server.url) == 2
    refused(capsys, "'set/trainA/x.png' grows to more than 100 times its size")
    assert get(server.url) == 0  # small plain images may shrink that much
    for limit, value in (("MAX_FILES", 9), ("MAX_BYTES", 19_999)):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, value)
            Path("x.zip").write_bytes(SET)
            assert get("x.zip", "other") == 2
            refused(capsys, "x.zip would unpack to 10 files", "more than")
            patch.setattr(module, limit, value + 1)
            assert get("x.zip", limit) == 0
    assert not Path("data/other").exists()


@pytest.mark.parametrize("told", [10, 3000])
def test_directory_that_lies_about_a_size(told, server, monkeypatch, capsys):
    """An entry of 2000 bytes: nothing beyond what was checked gets written, and no less is kept."""
    data = bytearray(SET)
    at = data.rindex(b"PK\1\2")
    data[at + 24:at + 28] = told.to_bytes(4, "little")
    server.answers = [send(bytes(data))]
    assert get(server.url) == 2
    refused(capsys, server.url, "is damaged, or not a zip")
    assert os.listdir("data") == []


def test_written_bytes_are_bounded_too(server, monkeypatch, capsys):
    """Whatever zipfile hands out: no more is written than what was checked."""
    written = {}

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return bytes(size)

    def rmtree(path, **rest):
        written.update({k: len(v) for k, v in tree(Path(path)).items() if v is not None})
        real(path, **rest)

    real = module.shutil.rmtree
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *a, **k: Endless())
    monkeypatch.setattr(module.shutil, "rmtree", rmtree)
    Path("x.zip").write_bytes(SET)
    assert get("x.zip") == 2
    refused(capsys, "x.zip is damaged", "wrong size of 'set/trainA/0.jpg'")
    assert written == {"trainA/0.jpg": 2001} and os.listdir("data") == []


@pytest.mark.parametrize("harm", ["empty", "text", "cut", "head", "checksum", "deflate"])
def test_damage(harm, server, tmp_path, capsys):
    packed = zipped({k: v[:500] * 4 for k, v in files().items()}, zipfile.ZIP_DEFLATED)
    middle = SET.index(files()["set/testA/0.jpg"]) + 1000
    data = {"empty": b"", "text": b"a zip, honestly", "cut": SET[:-1000], "head": SET[1000:],
            "checksum": SET[:middle] + b"????" + SET[middle + 4:],
            "deflate": packed[:400] + b"\xff" * 100 + packed[500:]}[harm]
    (tmp_path / "x.zip").write_bytes(data)
    assert get("x.zip") == 2
    refused(capsys, "x.zip is damaged, or not a zip", "get it again")
    assert os.listdir("data") == [] and (tmp_path / "x.zip").read_bytes() == data
    if data.startswith(b"PK"):  # and a download of it is thrown away
        server.answers = [send(data)]
        assert get(server.url) == 2 and os.listdir("data") == []
        server.answers = [send()]
        assert get(server.url) == 0 and unpacked(Path("data/mine"))


def test_any_damage_gets_a_sentence(server, tmp_path, capsys):
    """Bytes of the directory and the headers changed by chance: no traceback, no half a set."""
    rng, small = random.Random(0), zipped(files(length=20))
    for i in range(150):
        data = bytearray(small)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "x.zip").write_bytes(data)
        code = get("x.zip", f"set{i}")
        assert code in (0, 2)
        assert code == 0 or refused(capsys, "")
        assert Path(f"data/set{i}").exists() == (code == 0)
    assert not list(Path("data").glob(".*"))


def test_leftovers_of_a_killed_call(server):
    old = Path("data/.mine.unpacking/trainA")
    old.mkdir(parents=True)
    (old / "old.jpg").write_bytes(b"old")
    assert get(server.url) == 0
    assert unpacked(Path("data/mine")) and os.listdir("data") == ["mine"]


def test_out_that_appears_meanwhile(server, monkeypatch, capsys):
    def late(*arguments):
        Path("data/mine").mkdir()
        Path("data/mine/x").write_text("another's")
        return real(*arguments)

    real = module.unpack
    monkeypatch.setattr(module, "unpack", late)
    assert get(server.url) == 2
    refused(capsys, "not empty")
    assert tree(Path("data/mine")) == {"x": b"another's"}


def test_local_zip_leaves_a_download_alone(server, capsys):
    server.answers = [send(cut=5500), fail(404)]
    assert get(server.url) == 2
    Path("x.zip").write_bytes(b"PK rubbish")
    assert get("x.zip") == 2 and PART.read_bytes() == SET[:5500]
