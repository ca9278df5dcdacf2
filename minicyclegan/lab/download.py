"""The paper's data sets, and other zips laid out like them, onto the disk.

The authors' zips are known by their SHA-256. No other zip is trusted: only the images below trainA,
trainB, testA and testB are unpacked, each by its last name into a folder of ours.
"""

import errno
import hashlib
import os
import re
import shutil
import zipfile
from collections import Counter
from contextlib import contextmanager
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
# Hidden files, as a Mac's notes ._x.jpg, are no images.
ENTRY = re.compile(r"(?:(.*)/)?(trainA|trainB|testA|testB)/([^/.][^/]*)", re.S)
TIMEOUT = 30  # seconds that a server may be silent
MAX_RATIO = 100  # photographs hardly shrink: a zip that grows to more is meant to fill the disk


def download(name, source=None, out=None):
    """Get a data set and unpack it into `out`, which must not exist yet (default: data/NAME).

    name    one of DATASETS, whose SHA-256 the zip has to have; with a source, any other
    source  URL or file to take the zip from, in place of the authors' address
    Returns the images in each folder, {"trainA": 1067, ...}, and the number of files left out.

    Raises InputError where name, source or zip cannot be used, OSError where the disk is full.
    Then, and after Ctrl-C, there is neither `out` nor anything else left.
    """
    if source is None and name not in DATASETS:
        raise InputError(f"{name} is not one of the paper's sets ({', '.join(DATASETS)}); "
                         "name one of those, or add --from URL_OR_FILE.")
    out, source = Path(out or Path("data") / name), str(source or f"{BASE}{name}.zip")
    remote = re.match("https?://", source, re.I)
    if not remote and not os.path.isfile(source):
        raise InputError(f"--from {source} is neither a file nor an http address; name a zip.")
    with new_folder(out) as folder:
        archive = Path(source)
        if remote:
            archive = folder.with_name(f"{folder.name}.zip")
            fetch(source, archive)
        if name in DATASETS and sha256(archive) != DATASETS[name]:
            raise InputError(f"{source} is not the authors' {name}.zip (another SHA-256); get "
                             "another copy, or give this one a NAME of its own and add --from.")
        return unpack(archive, folder, source)


@contextmanager
def new_folder(path):
    """A folder to fill, for `with`. It gets its name when it is full: whatever goes wrong before,
    nothing is left. InputError where `path` exists already."""
    path = Path(path)
    if os.path.lexists(path):
        raise InputError(f"{path} exists already; use it, or name a new folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as aside:
        folder = Path(aside, path.name)
        folder.mkdir()
        yield folder
        os.rename(folder, path)


def fetch(url, file):
    """Download url into a file."""
    try:
        request = Request(url, headers={"User-Agent": "minicyclegan"})
        with urlopen(request, timeout=TIMEOUT) as response, open(file, "wb") as target:
            total = int(response.headers["Content-Length"] or 0)
            with tqdm.wrapattr(response, "read", total, desc=file.name, leave=False) as stream:
                shutil.copyfileobj(stream, target)
        if file.stat().st_size < max(total, 1):
            raise ConnectionError(f"{file.stat().st_size} of {total or 'all'} bytes have arrived")
    except (OSError, HTTPException, ValueError) as error:  # ValueError: no address at all
        raise InputError(f"{url} did not arrive ({error}); try again, or name another address or "
                         "a file with --from.") from error


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def unpack(archive, folder, source):
    """Write the images of a zip into an empty folder. Returns what download does."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [entry for entry in file.infolist() if not entry.is_dir()]
            images = find_images(entries, source)
            size = sum(entry.file_size for entry in images.values())
            if size > 2**20 + MAX_RATIO * archive.stat().st_size:
                raise InputError(f"{source} would unpack to {size / 2**20:,.0f} MB, which no set "
                                 "of photographs does; name another with --from.")
            for (split, name), entry in tqdm(images.items(), "unpacking", leave=False):
                (folder / split).mkdir(exist_ok=True)
                # zipfile hands out no more than the size that was checked
                with file.open(entry) as packed, open(folder / split / name, "wb") as target:
                    shutil.copyfileobj(packed, target)
    except InputError:
        raise
    except Exception as error:  # zipfile raises anything at all on damaged files
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the disk; EINVAL: a place before the file's start
        raise InputError(f"{source} is damaged, or not a zip ({error}); get it again, or name "
                         "another with --from.") from error
    return dict(sorted(Counter(split for split, _ in images).items())), len(entries) - len(images)


def find_images(entries, source):
    """The images among a zip's entries, {(split, file name): entry}."""
    images, tops = {}, set()
    for entry in entries:
        match = ENTRY.fullmatch(entry.filename)
        if match and Path(match[3]).suffix.lower() in SUFFIXES:
            tops.add(match[1])
            # the authors' photographs are called "2010-09-07 12:23:20.jpg"; Windows has no colons
            images[match[2], re.sub(r'[\\:*?"<>|\0-\x1f]', "_", match[3])] = entry
    if len(tops) != 1 or not {"trainA", "trainB"} <= {split for split, _ in images}:
        raise InputError(f"{source} should hold one folder trainA and one trainB with images; "
                         "name another with --from, laid out as data/README.md shows.")
    return images
