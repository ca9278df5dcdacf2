"""Images from folders to tensors: `trainA/ trainB/ testA/ testB/` below one root.

A and B are drawn independently of each other: that is what unpaired means. All randomness comes
from (seed, epoch, index), so that a run which stops can go on as if it had not.
"""

import random
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import Dataset
from tqdm import tqdm

from .errors import InputError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
KEEP_BYTES = 4 * 2**30  # decoded training images up to this total stay in memory


def list_images(folder):
    """The image files of a folder, by name. InputError where there is no folder or no image."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; a data set is a folder that holds trainA and "
                         "trainB, see data/README.md.")
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{folder} holds no images ({', '.join(s[1:] for s in SUFFIXES)}); "
                         "put some there.")
    return files


def read_image(path, channels=3):
    """The image as it should be seen, as a PIL image of mode "RGB" (3 channels) or "L" (1).

    Turned upright by its EXIF orientation, transparency laid on white, 16 bits brought to 8, the
    first frame of an animation. InputError names the file where it cannot be read.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode == "F" or (image.mode == "I" and file.format != "PNG"):
                raise ValueError("32 bits a channel, of unknown range; save it with 8 or 16")
            if image.mode.startswith("I"):  # 16-bit gray: 0..65535
                image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
            if "A" in image.getbands() or "transparency" in image.info:
                image = image.convert("RGBA")
                paper = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(paper, image)
            return image.convert("RGB" if channels == 3 else "L")
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything at all on damaged files
        reason = str(error) if str(path) not in str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as an image ({reason}); "
                         "replace or remove it.") from error


def to_tensor(image):
    """PIL image or uint8 array (H, W) or (H, W, C) to a float tensor (C, H, W) in [-1, 1]."""
    return to_float(to_bytes(image))


def to_bytes(image):
    """PIL image or uint8 array (H, W) or (H, W, C) to a uint8 tensor (C, H, W)."""
    array = np.array(image)  # a copy: PIL's own memory is read-only
    return torch.from_numpy(array if array.ndim == 3 else array[..., None]).permute(2, 0, 1)


def to_float(tensor):
    """uint8 in 0..255 to float in [-1, 1]."""
    return tensor.float() / 127.5 - 1


def to_image(tensor):
    """Tensor (C, H, W) in [-1, 1] to a PIL image, rounded to 8 bits."""
    array = ((tensor.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0))


def resize(image, side):
    """Bring the shorter side to `side` pixels, keeping the proportions."""
    scale = side / min(image.size)
    size = tuple(max(side, round(n * scale)) for n in image.size)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


class UnpairedImages(Dataset):
    """Pairs (real_A, real_B) that have nothing to do with each other, for training.

    Each is a float tensor (channels, size, size) in [-1, 1]: the shorter side brought to
    size × zoom, a random crop, a random flip (paper: 286, then 256; section 7.1 of its code).
    An epoch shows every image of the larger domain once; the smaller one starts over.
    `set_epoch(n)` deals new pairs and new crops; the same (seed, n, index) gives the same item.

    All files are decoded here, once, and kept as uint8 up to KEEP_BYTES; the others are read again
    when their turn comes. One that cannot be read raises InputError before anything is trained,
    and the message lists them all.
    """

    def __init__(self, root, split="train", size=256, zoom=286 / 256, flip=True, channels=3,
                 seed=0):
        self.size, self.load, self.flip = size, round(size * zoom), flip
        self.channels, self.seed = channels, seed
        self.files = {d: list_images(Path(root) / f"{split}{d}") for d in "AB"}
        self.images = {d: self._read_all(d) for d in "AB"}
        self.set_epoch(0)

    def _read(self, path):  # resized, before crop and flip: those are drawn anew every time
        return to_bytes(resize(read_image(path, self.channels), self.load)).contiguous()

    def _read_all(self, domain):
        files, images, kept, bad = self.files[domain], [], 0, []

        def attempt(path):
            try:
                return self._read(path)
            except InputError as error:
                return error

        with ThreadPoolExecutor() as threads:
            for image in tqdm(threads.map(attempt, files), f"reading {domain}", len(files),
                              leave=False, delay=2):
                if isinstance(image, InputError):
                    bad.append(str(image))
                else:
                    kept += image.numel()
                    images.append(image if kept <= KEEP_BYTES else None)
        if bad:
            raise InputError("\n".join(bad))
        return images

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

    Raises InputError where the names of testA and testB are not the same.
    """

    def __init__(self, root, size=256, channels=3):
        self.root, self.size, self.channels = Path(root), size, channels
        self.files = [{f.stem: f for f in list_images(self.root / f"test{d}")} for d in "AB"]
        alone = sorted(self.files[0].keys() ^ self.files[1].keys())
        if alone:
            raise InputError(f"{self.root}: testA and testB do not pair by file name ({len(alone)} "
                             f"names stand alone, {alone[0]} for one); scores need the true "
                             "counterpart of every test image under the same name.")
        self.names = sorted(self.files[0])
        masks = self.root / "testMask"
        self.masks = {f.stem: f for f in list_images(masks)} if masks.is_dir() else {}

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        name = self.names[index]
        real_A, real_B = (square(read_image(files[name], self.channels), self.size)
                          for files in self.files)
        mask = None
        if name in self.masks:
            mask = (square(read_image(self.masks[name], 1), self.size) + 1) / 2
        return name, real_A, real_B, mask


def square(image, size):
    """The middle of an image as a tensor (C, size, size) in [-1, 1]."""
    image = resize(image, size)
    left, top = ((n - size) // 2 for n in image.size)
    return to_tensor(image.crop((left, top, left + size, top + size)))
