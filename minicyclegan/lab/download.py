"""The paper's data sets, and other zips laid out like them, onto the disk.

The authors' zips are known by their SHA-256. Any other zip is not trusted: all of it is looked
through before anything is written. Either is unpacked beside the folder that is to come, which
gets its name when everything is there.
"""

import errno
import hashlib
import lzma
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
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

from tqdm import tqdm

from ..engine.errors import InputError
from ..engine.images import SUFFIXES

BASE = "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/"  # + NAME.zip
# SHA-256 of the authors' zips, as TensorFlow Datasets recorded them
DATASETS = dict(line.split() for line in """\
apple2orange 845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8
cezanne2photo 3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff
cityscapes d2f6910fd056c1ee9873777ae838e7ac4a2c833598ae62a04188e5ab2f4ea036
facades 9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0
horse2zebra a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1
iphone2dslr_flower 8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113
maps 639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e
monet2photo 88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04
summer2winter_yosemite 167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9
ukiyoe2photo 02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08
vangogh2photo 362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff
""".splitlines())
SPLITS = ("trainA", "trainB", "testA", "testB")
TIMEOUT = 30  # seconds that a server may be silent
PAUSE = 3  # seconds before the second try
CHUNK = 2**18
# Far above the paper's sets (up to 1.4 GB, 8231 files), and yet no zip fills a disk. Photographs
# hardly shrink: a zip that grows to MAX_RATIO times its size is meant to do harm.
MAX_BYTES, MAX_FILES, MAX_RATIO = 20 * 2**30, 200_000, 100


def download(name, source=None, out=None):
    """Get a data set and unpack it into `out`, which must not exist yet (default: data/NAME).

    name    one of DATASETS, whose SHA-256 the zip has to have; with a source, any folder name
    source  URL or file to take the zip from, in place of the authors' address
    Returns the images in each folder, {"trainA": 1067, ...}, and the number of files left out.

    Raises InputError where name, source or zip cannot be used, OSError where the disk is full.
    Then, and after Ctrl-C, there is neither `out` nor anything else left.
    """
    if not re.fullmatch(r"\w[\w .-]*", name):
        raise InputError(f"{name!r} is not a plain folder name; a place for it goes to --out.")
    if source is None and name not in DATASETS:
        raise InputError(f"{name} is not one of the paper's sets ({', '.join(DATASETS)}); "
                         "name one of those, or add --from URL_OR_FILE.")
    out, source = Path(out or Path("data") / name), str(source or f"{BASE}{name}.zip")
    if os.path.lexists(out):
        raise InputError(f"{out} exists already; use it, or name another folder with --out.")
    remote = re.match("https?://", source, re.I)
    if not remote and not os.path.isfile(source):
        raise InputError(f"--from {source} is neither a file nor an http address; name a zip.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as aside:
        archive, folder = Path(source), Path(aside, name)
        if remote:
            archive = Path(aside, f"{name}.zip")
            fetch(source, archive)
        if name in DATASETS and sha256(archive) != DATASETS[name]:
            raise InputError(f"{source} is not the authors' {name}.zip (another SHA-256); get "
                             "another copy, or give this one a NAME of its own and add --from.")
        result = unpack(archive, folder, source)
        os.rename(folder, out)
    return result


def fetch(url, file):
    """Download url into a file; where it breaks off, from the start once more."""
    for last in (False, True):
        try:
            return receive(url, file)
        except InputError:
            raise
        except (OSError, HTTPException, ValueError) as error:  # ValueError: no address at all
            if last:
                raise InputError(f"{url} did not arrive ({error}); try again later, or name "
                                 "another address or a file with --from.") from error
            print(f"{url} broke off ({error}); once more in {PAUSE} s", file=sys.stderr)
            time.sleep(PAUSE)


def receive(url, file):
    request = Request(url, headers={"User-Agent": "minicyclegan"})
    with urlopen(request, timeout=TIMEOUT) as response, open(file, "wb") as target:
        length, have = response.headers["Content-Length"] or "", 0
        total = int(length) if length.isdigit() else 0
        need_room(file.parent, total)
        with tqdm(desc=file.name, total=total, unit="B", unit_scale=True, leave=False) as bar:
            while chunk := response.read(CHUNK):
                have += target.write(chunk)
                bar.update(len(chunk))
                if have > MAX_BYTES:
                    raise InputError(f"{url} sends more than {mega(MAX_BYTES)}, which no such set "
                                     "has; name another with --from.")
    if not have or have < total:
        raise ConnectionError(f"{have} of {total or 'all'} bytes have arrived")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def mega(size):
    return f"{size / 2**20:,.1f} MB"


def need_room(folder, size):
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(f"{mega(size)} are needed in {folder}, {mega(free)} are free; make room, "
                         "or name a folder elsewhere with --out.")


def unpack(archive, folder, source):
    """Write the images of a zip into a new folder. Returns what download does."""
    with open(archive, "rb") as file:
        if file.read(100).lstrip().startswith(b"<"):
            raise InputError(f"{source} is a web page, not a zip; look at it in a browser, and "
                             "name the zip itself with --from.")
    try:
        with zipfile.ZipFile(archive) as file:
            images, left_out = contents(file.infolist(), os.path.getsize(archive), source)
            need_room(folder.parent, sum(entry.file_size for entry in images.values()))
            for (split, name), entry in tqdm(images.items(), "unpacking", leave=False):
                (folder / split).mkdir(parents=True, exist_ok=True)
                # zipfile hands out no more than the size that was checked
                with file.open(entry) as packed, open(folder / split / name, "xb") as target:
                    shutil.copyfileobj(packed, target)
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError,
            ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the disk; EINVAL: a place before the file's start
        raise InputError(f"{source} is damaged, or not a zip ({error}); get it again, or name "
                         "another with --from.") from error
    return dict(sorted(Counter(split for split, _ in images).items())), left_out


def contents(entries, packed, source):
    """The images of a zip of so many bytes, {(split, file name): entry}, and the number of its
    other files. InputError where any entry is unfit, even one to be left out."""
    size = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_FILES or size > min(MAX_BYTES, 2**20 + MAX_RATIO * packed):
        raise InputError(f"{source} would unpack to {len(entries)} files, {mega(size)}, which no "
                         "set of photographs does; name another with --from.")
    found = {}  # the images below each folder that holds splits: "horse2zebra", or "" at the top
    for entry in entries:
        *folders, name = entry.filename.removesuffix("/").split("/")
        wrong = ("could lead out of the folder" if {*folders, name} & {"", ".", ".."}
                 or re.search(r"[\\\0-\x1f]", entry.filename)
                 else "is a link or a special file"
                 if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR)
                 else "is encrypted" if entry.flag_bits & 1 else None)
        if wrong:
            raise InputError(f"{source}: the entry {entry.filename!r} {wrong}, so nothing was "
                             "unpacked; name another zip with --from.")
        # names with a dot in front are hidden, as a Mac's notes ._x.jpg
        if (not entry.is_dir() and 1 <= len(folders) <= 2 and folders[-1] in SPLITS
                and Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")):
            top = found.setdefault("".join(folders[:-1]), {})
            # the authors' photographs are called "2010-09-07 12:23:20.jpg"; Windows has no colons
            key = folders[-1], name.replace(":", "_")
            if key in top:
                raise InputError(f"{source} holds {name!r} twice in {key[0]}; name another with "
                                 "--from.")
            top[key] = entry
    tops = [top for top in found.values() if any(split == "trainA" for split, _ in top)]
    if len(tops) != 1 or not any(split == "trainB" for split, _ in tops[0]):
        raise InputError(f"{source} should hold one folder trainA and one trainB with images; "
                         "name another with --from, laid out as data/README.md shows.")
    return tops[0], sum(not entry.is_dir() for entry in entries) - len(tops[0])
