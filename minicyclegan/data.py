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
    KEEP_BYTES,
    bad_images,
    decode,
    list_images,
    read_all,
    read_image,
    stamp,
    to_bytes,
    to_float,
    to_tensor,
)


class UnpairedImages(Dataset):
    """Pairs (real_A, real_B) that have nothing to do with each other, for training.

    Each is a float tensor (channels, size, size) in [-1, 1]: the shorter side brought to
    size × zoom, a random crop, a random flip (paper: 286, then 256; section 7.1 of its code).
    An epoch shows every image of the larger domain once; the smaller one starts over.
    `set_epoch(n)` deals new pairs and new crops; the same (seed, n, index) gives the same item.

    All files are decoded here, once, and kept as uint8 up to KEEP_BYTES; the others are read again
    when their turn comes. Files that cannot be read raise InputError before anything is trained,
    and the message lists them all; with `skip_bad` they are left out, unless no file is left.

    bad   dict {file: reason} to add them to; what is in it already is listed too, or skipped
    seen  stamps of files that were in order before: they are decoded only to be kept in memory
    """

    def __init__(self, root, split="train", size=256, zoom=286 / 256, flip=True, channels=3,
                 seed=0, skip_bad=False, bad=None, seen=()):
        self.size, self.load, self.flip = size, round(size * zoom), flip
        self.channels, self.seed = channels, seed
        files = {d: list_images(Path(root) / f"{split}{d}") for d in "AB"}
        self.bad = {} if bad is None else bad
        self.free, self.files, self.images = KEEP_BYTES, {}, {}
        for d in "AB":
            self.files[d], self.images[d] = self._read_all(files[d], seen, f"reading {d}")
        if self.bad and not skip_bad:
            raise bad_images(self.bad, ", or leave them out by --skip-bad")
        for d in "AB":
            if not self.files[d]:
                raise bad_images(self.bad, f": nothing else is left in {split}{d}")
        self.set_epoch(0)

    def _read(self, path):  # resized, before crop and flip: those are drawn anew every time
        return to_bytes(read_image(path, self.channels, self.load)).contiguous()

    def _read_all(self, files, seen, title):
        def read(file):
            if self.free <= 0 and stamp(file) in seen:
                return None
            image = to_bytes(decode(file, self.channels, self.load)).contiguous()
            self.free -= image.numel()
            return image if self.free >= 0 else None

        both = read_all(files, read, self.bad, title)
        return [file for file, _ in both], [image for _, image in both]

    def fingerprint(self):
        """Tells whether the images are the same as another time, by their names and sizes."""
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
        self.epoch = epoch
        self.order = {d: self._deal(d) for d in "AB"}

    def _deal(self, domain):
        rng = random.Random(f"{self.seed}/{self.epoch}/{domain}")
        order = []
        while len(order) < len(self):
            once = list(range(len(self.files[domain])))
            rng.shuffle(once)
            order += once
        return order[:len(self)]

    def __len__(self):
        return max(len(files) for files in self.files.values())

    def __getitem__(self, index):
        return tuple(to_float(self._crop(d, *self._pick(d, index))) for d in "AB")

    def _pick(self, domain, index):
        """Which image an item shows, and the random numbers that crop and flip it."""
        return self.order[domain][index], f"{self.seed}/{self.epoch}/{domain}/{index}"

    def _crop(self, domain, number, key):
        image = self.images[domain][number]
        if image is None:  # too many to keep them all in memory
            image = self._read(self.files[domain][number])
        rng = random.Random(key)
        top, left = (rng.randint(0, n - self.size) for n in image.shape[1:])
        image = image[:, top:top + self.size, left:left + self.size]
        return image.flip(-1) if self.flip and rng.random() < 0.5 else image

    def batches(self, places, device, workers=4):
        """For each (epoch, indices) of `places`: real_A, real_B, tensors (N, C, size, size) in
        [-1, 1] on `device`. They are prepared ahead, by `workers` threads where files are read."""
        def crops(picks):
            both = [torch.stack([self._crop(d, *pick) for pick in picks[d]]) for d in "AB"]
            if device.type == "cuda" and not both[0].is_cuda:
                both = [batch.pin_memory() for batch in both]  # the copy need not be waited for
            return both

        def ready(future):
            return tuple(to_float(batch.to(device, non_blocking=True)) for batch in future.result())

        workers = 1 if self.all_kept() else workers
        waiting = deque()
        with ThreadPoolExecutor(workers) as threads:
            for epoch, indices in places:
                if epoch != self.epoch:
                    self.set_epoch(epoch)
                picks = {d: [self._pick(d, i) for i in indices] for d in "AB"}
                waiting.append(threads.submit(crops, picks))
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


def read_square(path, size, channels=3):
    """The middle of an image as a tensor (channels, size, size) in [-1, 1]."""
    image = read_image(path, channels, size)
    left, top = ((n - size) // 2 for n in image.size)
    return to_tensor(image.crop((left, top, left + size, top + size)))


def samples(root, size, channels, bad=()):
    """PairedImages, None where the counterparts are not known, and eight test images of either
    domain to look at, two tensors (8, channels, size, size); training images if there are no
    others."""
    split = "test" if all((Path(root) / f"test{d}").is_dir() for d in "AB") else "train"
    files = [list_images(Path(root) / f"{split}{d}") for d in "AB"]
    names = [sorted(f.stem for f in domain) for domain in files]
    if split == "test" and names[0] == names[1]:
        pairs = PairedImages(root, size, channels, bad)
        eight = [pairs[i][1:3] for i in range(min(8, len(pairs)))]
        return pairs, [torch.stack(images) for images in zip(*eight, strict=True)]
    good = [[f for f in domain if f not in bad][:8] for domain in files]
    for d, domain in zip("AB", good, strict=True):
        if not domain:
            raise bad_images(bad, f": nothing else is left in {split}{d}")
    return None, [torch.stack([read_square(f, size, channels) for f in domain]) for domain in good]
