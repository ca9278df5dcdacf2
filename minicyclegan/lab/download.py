"""The paper's data sets, and other zips laid out like them, onto the disk.

A download that breaks off goes on where it stopped: what has arrived lies beside the folder that
is to come, in .NAME.zip.part. A zip is not trusted: all of it is looked through before anything
is written, and it is unpacked beside the folder, which gets its name when everything is there.
"""

import errno
import os
import re
import shutil
import stat
import struct
import sys
import time
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager
from http.client import HTTPException, InvalidURL
from pathlib import Path
from urllib import request
from urllib.error import HTTPError, URLError

from tqdm import tqdm

from ..engine.errors import InputError
from ..engine.images import SUFFIXES

BASE = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/"  # + NAME.zip; the authors' address
SPLITS = ("trainA", "trainB", "testA", "testB")
DATASETS = {  # images in SPLITS, as the authors' zips have them; the paper gives other numbers
    "apple2orange": (995, 1019, 266, 248),
    "cezanne2photo": (525, 6287, 58, 751),
    "cityscapes": None,  # not known for certain
    "facades": (400, 400, 106, 106),
    "horse2zebra": (1067, 1334, 120, 140),
    "iphone2dslr_flower": None,
    "maps": (1096, 1096, 1098, 1098),
    "monet2photo": (1072, 6287, 121, 751),
    "summer2winter_yosemite": (1231, 962, 309, 238),
    "ukiyoe2photo": (562, 6287, 263, 751),
    "vangogh2photo": (400, 6287, 400, 751),
}
TIMEOUT = 30  # seconds that a server may be silent
PAUSES = (1, 4, 15)  # seconds before another try
CHUNK = 2**16
# Far above the paper's sets (up to 1.4 GB, 8231 files), and yet no zip fills a disk. Photographs
# hardly shrink: an entry of over 1 MB and MAX_RATIO times its size in the zip is meant to do harm.
MAX_BYTES, MAX_FILES, MAX_RATIO = 20 * 2**30, 200_000, 100


def download(name, source=None, out=None):
    """Get a data set and unpack it into `out`, which must not exist yet (default: data/NAME).

    name    one of DATASETS, whose counts it has to meet; with a source, any plain folder name
    source  URL or file to take the zip from, in place of the authors' address
    Returns the images in each folder, {"trainA": 1067, ...}, and the number of files left out.

    Raises InputError where name, source or zip cannot be used, OSError where the disk is too
    small; then there is no `out`.
    """
    if not re.fullmatch(r"\w[\w .-]*", name):
        raise InputError(f"{name!r} is not a plain folder name; a place for it goes to --out.")
    if source is None and name not in DATASETS:
        raise InputError(f"{name} is not one of the paper's sets ({', '.join(DATASETS)}); "
                         "name one of those, or add --from URL_OR_FILE.")
    out, source = Path(out or Path("data") / name), str(source or f"{BASE}{name}.zip")
    if os.path.lexists(out):
        raise InputError(f"{out} exists already; use it, or name another folder with --out.")
    part, unpacked = (out.parent / f".{out.name}.{end}" for end in ("zip.part", "unpacking"))
    archive = local_file(source)
    out.parent.mkdir(parents=True, exist_ok=True)
    if not archive:
        fetch(source, part)
    shutil.rmtree(unpacked, ignore_errors=True)  # of a call that was killed
    try:
        result = unpack(archive or part, unpacked, name, source)
        os.rename(unpacked, out)
    except InputError:
        if not archive:
            discard(part)  # a zip that cannot be used is not worth keeping
        raise
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    discard(part)
    return result


def local_file(source):
    """The path that a source names, None where it is http or https; InputError for the rest."""
    if re.match("https?://", source, re.I):
        return None
    path = request.url2pathname(source[7:]) if source.startswith("file://") else source
    if not os.path.isfile(path):
        raise InputError(f"--from {source} is neither a file nor an http address; name a zip.")
    return path


def discard(part):
    for file in (part, part.with_suffix(".from")):
        file.unlink(missing_ok=True)


def fetch(url, part):
    """Download url into the file `part`, going on with what is there of it."""
    for pause in (*PAUSES, None):
        try:
            return receive(url, part)
        except ConnectionError as error:
            if pause is None:
                raise InputError(f"{url} did not arrive ({error}); run this again to go on with "
                                 "it, or name a mirror or a file with --from.") from error
            print(f"{url} broke off ({error}); next try in {pause} s", file=sys.stderr)
            time.sleep(pause)


def receive(url, part):
    """One try; ConnectionError where another may help. The note beside part says of what it is
    a part: URL, validator (the server's mark of this version of the file), length."""
    note, known, have = part.with_suffix(".from"), ["", "", ""], 0
    if part.exists() and note.exists():
        known, have = [*note.read_text().split("\n"), "", ""], part.stat().st_size
    if known[0] == url and known[2] == str(have):
        return  # whole: something came between it and the unpacking
    asked = {"User-Agent": "minicyclegan"}
    if known[0] == url and known[1] and have:  # else nobody can tell if it still is the same
        asked |= {"Range": f"bytes={have}-", "If-Range": known[1]}
    with network(url, part):
        response = request.build_opener(NoFTP).open(request.Request(url, headers=asked),
                                                    timeout=TIMEOUT)

    def more():
        with network(url, part):
            return response.read(CHUNK)

    with response:
        etag, date, span, length = (response.headers[key] or "" for key in (
            "ETag", "Last-Modified", "Content-Range", "Content-Length"))
        validator = date if not etag or etag.startswith("W/") else etag  # W/: not byte for byte
        if response.status != 206:
            have = 0  # all of it comes
        elif validator not in ("", known[1]) or not span.startswith(f"bytes {have}-"):
            discard(part)
            raise ConnectionError("the file has changed meanwhile")
        total = have + int(length) if length.isdigit() else None
        need_room(part, (total or have) - have)
        chunk = more()
        if chunk and not have and not chunk.startswith(b"PK"):  # as every zip does
            what = "a web page" if chunk.lstrip().startswith(b"<") else "something else"
            raise InputError(f"{url} sent {what} in place of a zip; look at it in a browser, and "
                             "name the zip itself with --from.")
        with open(part, "ab" if have else "wb") as file, tqdm(
                desc=part.name[1:-5], total=total, initial=have, unit="B", unit_scale=True,
                leave=False) as bar:
            note.write_text(f"{url}\n{validator or known[1]}\n{total}")
            while chunk:
                have += file.write(chunk)
                bar.update(len(chunk))
                if max(have, total or 0) > MAX_BYTES:
                    file.truncate(0)
                    raise InputError(f"{url} is larger than any of these sets, {mega(MAX_BYTES)} "
                                     "at most; name another with --from.")
                chunk = more()
    if have < (total or 1):
        raise ConnectionError(f"{have} of {total or 'all'} bytes have arrived")
    note.write_text(f"{url}\n\n{have}")


class NoFTP(request.FTPHandler):
    """urllib follows redirects to http, https and ftp; this takes ftp out."""

    def ftp_open(self, req):
        raise URLError("it leads to ftp")


@contextmanager
def network(url, part):
    """What goes wrong on the way: ConnectionError where another try may help, else InputError."""
    try:
        yield
    except HTTPError as error:
        if error.code == 416:  # there is nothing behind what we have, so it is not right
            discard(part)
        answer = f"answered {error.code} {error.reason}"
        if error.code == 416 or error.code >= 500:
            raise ConnectionError(f"the server {answer}") from error
        raise InputError(f"{url} {answer}; name a mirror, or a zip that you have, with --from."
                         ) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, (str, ValueError, InvalidURL)):  # str: urllib's own refusals
            raise InputError(f"{url} is no address to download from ({reason}); name another "
                             "with --from.") from error
        raise ConnectionError(str(reason)) from error


def mega(size):
    return f"{size / 2**20:,.1f} MB"


def need_room(path, size):
    """OSError where the disk that path goes to has less than `size` bytes free."""
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise OSError(errno.ENOSPC, f"{mega(size)} are needed, {mega(free)} are free; make room, "
                      "or name a folder elsewhere with --out", str(path.parent))


def unpack(archive, folder, name, source):
    """Write the images of a zip into a new folder. Returns what download does."""
    try:
        with zipfile.ZipFile(archive) as file:
            images, skipped = contents(file.infolist(), name, source)
            need_room(folder, sum(entry.file_size for entry in images.values()))
            folder.mkdir()
            for (split, image), entry in tqdm(images.items(), "unpacking", leave=False):
                (folder / split).mkdir(exist_ok=True)
                left = entry.file_size  # all bounds were checked on this, so it has to be true
                with file.open(entry) as packed, open(folder / split / image, "xb") as unpacked:
                    while left >= 0 and (chunk := packed.read(min(CHUNK, left + 1))):
                        left -= len(chunk)
                        unpacked.write(chunk)
                if left:
                    raise zipfile.BadZipFile(f"wrong size of {entry.filename!r}")
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError,
            OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place before the file
            raise  # of the disk
        raise InputError(f"{source} is damaged, or not a zip ({error}); get it again, or name "
                         "another with --from.") from error
    return dict(sorted(Counter(split for split, _ in images).items())), skipped


def contents(entries, name, source):
    """The images of a zip, {(folder, file name): entry}, and the number of its other files.

    InputError where any entry is unfit, even one to be left out, or there are too many or too few.
    """
    size = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_FILES or size > MAX_BYTES:
        raise InputError(f"{source} would unpack to {len(entries)} files, {mega(size)}, more than "
                         f"{MAX_FILES} or {mega(MAX_BYTES)}; name another with --from.")
    files, paths = {}, set()
    for entry in entries:
        path = entry.orig_filename  # not filename: an extra field can change that one
        parts = tuple(path.removesuffix("/").split("/"))
        wrong = "is there twice" if parts in paths else unfit(entry, path, parts)
        if wrong:
            raise InputError(f"{source}: the entry {path!r} {wrong}, so nothing was unpacked; "
                             "name another zip with --from.")
        paths.add(parts)
        if not path.endswith("/"):
            files[parts] = entry
    found = [p for p in files if len(p) in (2, 3) and Path(p[-1]).suffix.lower() in SUFFIXES
             and not any(part.startswith(".") for part in p)]  # ._x.jpg: a Mac's notes on x.jpg
    tops = {p[:-2] for p in found if p[-2] == "trainA"}  # {("horse2zebra",)}, or {()}
    images = {p[-2:]: files[p] for p in found if p[:-2] in tops}
    counts = Counter(split for split, _ in images)
    if len(tops) != 1 or not counts["trainB"]:
        raise InputError(f"{source} should hold one folder trainA and one trainB with images; "
                         "name another with --from, laid out as data/README.md shows.")
    there, due = tuple(counts[split] for split in SPLITS), DATASETS.get(name)
    if due and there != due:
        raise InputError(
            f"{source} has {', '.join(f'{n} {s}' for n, s in zip(there, SPLITS, strict=True))} "
            f"and not the {', '.join(map(str, due))} images of {name}; get another copy, or give "
            "this one a NAME of its own and add --from.")
    return images, len(files) - len(images)


def unfit(entry, path, parts):
    """What speaks against unpacking an entry, or None."""
    if set(parts) & {"", ".", ".."} or re.search(r"[\\:\0-\x1f]", path):
        return "could lead out of the folder"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way that is not read here"
    if entry.file_size > max(2**20, MAX_RATIO * entry.compress_size):
        return f"grows to more than {MAX_RATIO} times its size"
