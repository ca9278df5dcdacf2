"""Images from folders to tensors: `trainA/ trainB/ testA/ testB/` below one root.

A and B are drawn independently of each other: that is what unpaired means. All randomness comes
from (seed, epoch, index), so that a run which stops can go on as if it had not.
"""

import hashlib
import random
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.utils.data import Dataset

from .engine.errors import InputError, shown
from .engine.images import (
    bad_images,
    check_images,
    decode,
    list_images,
    need_possible,
    read_all,
    read_image,
    read_square,
    to_bytes,
    to_float,
)

KEEP_BYTES = 4 * 2**30  # decoded training images up to this total stay in memory


class UnpairedImages(Dataset):
    """Pairs (real_A, real_B) that have nothing to do with each other, for training.

    Each is a float tensor (channels, size, size) in [-1, 1]: the shorter side brought to
    size × zoom, a random crop, a random flip (286, then 256 in the authors' code).
    An epoch shows every image of the larger domain once; the smaller one starts over.
    `set_epoch(n)` deals new pairs and new crops; the same (seed, n, index) gives the same item.

    All files are decoded here, once, and kept as uint8 up to KEEP_BYTES; the others are read again
    when their turn comes. Files that cannot be read raise InputError before anything is trained,
    and the message lists them all; with `skip_bad` they are left out, unless no file is left.

    bad, left, remarks   dicts that collect what is found on the way: files that cannot be read
    (those in it already are listed or skipped too), what is left alone in the folders, and what
    should be said about the others; see engine/images.py
    """

    def __init__(self, root, split="train", size=256, zoom=286 / 256, flip=True, channels=3,
                 seed=0, skip_bad=False, bad=None, left=None, remarks=None):
        need_possible(channels, size)
        if not zoom >= 1:
            raise InputError(f"zoom must be at least 1, not {zoom}: crops do not grow.")
        self.size, self.load, self.flip = size, round(size * zoom), flip
        self.channels, self.seed = channels, seed
        bad = {} if bad is None else bad
        files = {d: list_images(Path(root) / f"{split}{d}", left) for d in "AB"}
        self.free, self.files, self.images = KEEP_BYTES, {}, {}

        def read(file):
            image = to_bytes(decode(file, channels, self.load, remarks)).contiguous()
            self.free -= image.numel()
            return image if self.free >= 0 else None

        for d in "AB":
            images = read_all(files[d], read, bad, f"reading {d}")
            self.files[d], self.images[d] = list(images), list(images.values())
        if bad and not skip_bad:
            raise bad_images(bad, ", or leave them out by --skip-bad")
        for d in "AB":
            if not self.files[d]:
                raise bad_images(bad, f": nothing else is left in {split}{d}")
        self.set_epoch(0)

    def fingerprint(self):
        """Tells whether the images are the same as another time, by their names and sizes, wherever
        they lie."""
        marks = {}
        for d, files in self.files.items():
            names = "".join(f"{f.name!r} {f.stat().st_size}\n" for f in files)
            marks[d] = f"{len(files)} images, {hashlib.sha256(names.encode()).hexdigest()[:12]}"
        return marks

    def all_kept(self):
        """Whether every image is in memory, so that no file is read again."""
        return not any(image is None for images in self.images.values() for image in images)

    def to(self, device):
        """Move the images to a GPU, where crops and flips are then made, if they take no more
        than a quarter of its free memory; else leave them where they are. Returns self."""
        if device.type == "cuda" and self.all_kept():
            needed = sum(image.numel() for images in self.images.values() for image in images)
            if needed <= torch.cuda.mem_get_info(device)[0] / 4:
                self.images = {d: [image.to(device) for image in images]
                               for d, images in self.images.items()}
        return self

    def set_epoch(self, epoch):
        self.epoch, self.order = epoch, {}
        for d, files in self.files.items():
            rng, order = random.Random(f"{self.seed}/{epoch}/{d}"), []
            while len(order) < len(self):
                once = list(range(len(files)))
                rng.shuffle(once)
                order += once
            self.order[d] = order[:len(self)]

    def __len__(self):
        return max(len(files) for files in self.files.values())

    def __getitem__(self, index):
        return tuple(to_float(self._crop(d, index, self.order, self.epoch)) for d in "AB")

    def _crop(self, domain, index, order, epoch):
        number = order[domain][index]
        image = self.images[domain][number]
        if image is None:  # too many to keep them all in memory
            image = to_bytes(read_image(self.files[domain][number], self.channels, self.load))
        rng = random.Random(f"{self.seed}/{epoch}/{domain}/{index}")
        top, left = (rng.randint(0, n - self.size) for n in image.shape[1:])
        image = image[:, top:top + self.size, left:left + self.size]
        return image.flip(-1) if self.flip and rng.random() < 0.5 else image

    def batches(self, steps, batch, device="cpu", part=0, parts=1, workers=4):
        """For each number in `steps`, counted from 0: real_A, real_B, tensors (N, C, size, size) in
        [-1, 1] on `device`. Of the `batch` pairs of a step these are those of process `part` of
        `parts`. They are prepared ahead, by `workers` threads where files are read."""
        device, share = torch.device(device), batch // parts

        def crops(indices, *of_epoch):
            both = [torch.stack([self._crop(d, i, *of_epoch) for i in indices]) for d in "AB"]
            if device.type == "cuda" and not both[0].is_cuda:
                both = [images.pin_memory() for images in both]  # the copy need not be waited for
            return both

        def ready(future):
            return tuple(to_float(x.to(device, non_blocking=True)) for x in future.result())

        workers = 1 if self.all_kept() else workers
        waiting = deque()
        with ThreadPoolExecutor(workers) as threads:
            for step in steps:
                epoch, i = divmod(step, len(self) // batch)
                if epoch != self.epoch:
                    self.set_epoch(epoch)
                first = i * batch + part * share
                waiting.append(threads.submit(crops, range(first, first + share), self.order,
                                              epoch))
                if len(waiting) > workers:
                    yield ready(waiting.popleft())
            while waiting:
                yield ready(waiting.popleft())


class PairedImages(Dataset):
    """Test images whose true counterpart is known: testA/NAME and testB/NAME.

    Items are (name, real_A, real_B, mask), tensors (channels, size, size) in [-1, 1]: the shorter
    side brought to `size`, the middle cut out. mask (1, size, size) in [0, 1] is 1 on the animal,
    from testMask/NAME; None where that folder is missing. The suffixes of a pair may differ.

    bad   files to leave out, with the pairs that they belong to

    Raises InputError where the names of testA and testB are not the same, where masks are missing,
    and where no pair is left.
    """

    def __init__(self, root, size=256, channels=3, bad=()):
        self.root, self.size, self.channels = Path(root), size, channels
        folders = [self.root / name for name in ("testA", "testB", "testMask")]
        self.files = [by_stem(f) for f in (folders if folders[2].is_dir() else folders[:2])]
        alone = sorted(self.files[0].keys() ^ self.files[1].keys())
        if alone:
            raise InputError(f"{self.root}: testA and testB do not pair by file name ({len(alone)} "
                             f"names stand alone, {shown(alone[0])} for one); scores need the true "
                             "counterpart of every test image under the same name.")
        bare = sorted(self.files[0].keys() - self.files[-1].keys())
        if bare:
            raise InputError(f"{folders[2]} lacks {len(bare)} masks, that of {shown(bare[0])} for "
                             "one; add them, or remove the folder.")
        self.names = sorted(name for name in self.files[0]
                            if not any(files[name] in bad for files in self.files))
        if not self.names:
            raise InputError(f"{self.root}: in every pair of testA and testB there is an image "
                             "that cannot be read; replace them.")

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        name = self.names[index]
        real_A, real_B = (read_square(files[name], self.size, self.channels)
                          for files in self.files[:2])
        mask = None
        if len(self.files) == 3:
            mask = (read_square(self.files[2][name], self.size, 1) + 1) / 2
        return name, real_A, real_B, mask


def by_stem(folder):
    """The images of a folder by their names without suffix, InputError where two have the same."""
    files = {}
    for file in list_images(folder):
        if file.stem in files:
            raise InputError(f"{shown(files[file.stem])} and {shown(file)} pair with the same "
                             "image; remove one.")
        files[file.stem] = file
    return files


def check_tests(root, size, bad, left=None, remarks=None):
    """Look at every test image and mask; what cannot be read goes into the dict `bad`."""
    folders = [Path(root) / name for name in ("testA", "testB", "testMask")]
    here = [folder for folder in folders if folder.is_dir()]
    if here and folders[:2] != here[:2] and remarks is not None:
        remarks["not used without both testA and testB; add the other"] = here
    files = [f for folder in here for f in list_images(folder, left)]
    check_images(files, bad, size, remarks)


def read_tests(root, size, channels, named=True, bad=()):
    """PairedImages, None where the true counterparts are not known, and eight test images of either
    domain to look at, two tensors (8, channels, size, size); training images if there are no tests.

    named  False: images of the same name are no counterparts all the same
    bad    files to leave out
    """
    split = "test" if all((Path(root) / f"test{d}").is_dir() for d in "AB") else "train"
    files = [list_images(Path(root) / f"{split}{d}") for d in "AB"]
    names = [sorted(f.stem for f in domain) for domain in files]
    if named and split == "test" and names[0] == names[1]:
        pairs = PairedImages(root, size, channels, bad)
        eight = [pairs[i][1:3] for i in range(min(8, len(pairs)))]
        return pairs, [torch.stack(images) for images in zip(*eight, strict=True)]
    good = [[f for f in domain if f not in bad][:8] for domain in files]
    for d, domain in zip("AB", good, strict=True):
        if not domain:
            raise bad_images(bad, f": nothing else is left in {split}{d}")
    return None, [torch.stack([read_square(f, size, channels) for f in domain]) for domain in good]
