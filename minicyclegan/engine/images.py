"""Image files of all kinds to images, or one clear sentence."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from .errors import InputError, shown

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# What a file holds counts, not how it is called. Pillow knows more formats than these; it even
# starts other programs for some of them.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
MAX_PIXELS = 89_478_485  # Pillow's bound too, above which a file may be meant to fill the memory
KEEP_BYTES = 4 * 2**30  # decoded training images up to this total stay in memory


def list_images(folder, left=None):
    """The image files of a folder, by name, without hidden ones (a Mac's notes on x.jpg are called
    ._x.jpg). InputError where there is no folder or no image."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{shown(folder)} is not a folder; a data set is a folder that holds "
                         "trainA and trainB, see data/README.md.")
    files = sorted(f for f in folder.iterdir()
                   if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
    if not files:
        raise InputError(f"{shown(folder)} holds no images ({', '.join(s[1:] for s in SUFFIXES)}); "
                         "put some there.")
    return files


def read_image(path, channels=3, side=None):
    """The image as it should be seen, as a PIL image of mode "RGB" (3 channels) or "L" (1).

    Turned upright by its EXIF orientation, transparency laid on white, 16 bits brought to 8, the
    first frame of an animation; with `side`, the shorter side brought to so many pixels.
    InputError names the file where it cannot be read.
    """
    try:
        return decode(path, channels, side)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything at all on damaged files
        raise InputError(f"{shown(path)} cannot be read as an image ({reason(error)}); "
                         "replace or remove it.") from error


def decode(path, channels, side, remarks=None):
    """read_image with exceptions as they come."""
    path = Path(path)
    if not path.is_file():  # opening a pipe would wait for somebody to write to it
        raise ValueError("is a folder" if path.is_dir() else "is no plain file" if path.exists()
                         else "links to nothing" if path.is_symlink() else "does not exist")
    if path.stat().st_size == 0:
        raise ValueError("is empty")
    with Image.open(path, formats=FORMATS) as file:
        need_bounds(*file.size, side)
        image = ImageOps.exif_transpose(file)
        if image.mode == "F" or (image.mode == "I" and file.format != "PNG"):
            raise ValueError("32 bits a channel, of unknown range; save it with 8 or 16")
        if image.mode.startswith("I"):  # 16-bit gray: 0..65535
            image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            paper = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(paper, image)
        image = image.convert("RGB" if channels == 3 else "L")
        return resize(image, side) if side else image


def need_bounds(width, height, side=None):
    """ValueError for an image that is too large, before memory is taken for it."""
    for n in (1, side / min(width, height) if side else 1):  # as it is, and resized
        if width * n * height * n > MAX_PIXELS:
            raise ValueError(f"{width}×{height} pixels" + (" would become more" if n > 1 else
                             " are more") + f" than {MAX_PIXELS // 10**6} million; make a smaller "
                             "image of it")


def reason(error):
    """Why a file could not be decoded, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        return "no image of a known format"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS // 10**6} million pixels; make a smaller image of it"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def read_all(files, read, bad, title):
    """[(file, read(file)), ...], read by several threads; files that cannot be read go into the
    dict `bad` instead, with the reason."""
    def attempt(file):
        try:
            return read(file), None
        except MemoryError:
            raise
        except Exception as error:
            return None, reason(error)

    results, threads = [], ThreadPoolExecutor()
    try:
        done = tqdm(threads.map(attempt, files), title, len(files), leave=False, delay=2)
        for file, (result, problem) in zip(files, done, strict=True):
            if problem:
                bad[file] = problem
            else:
                results.append((file, result))
    finally:
        threads.shutdown(cancel_futures=True)  # Ctrl-C need not wait for all the others
    return results


def list_tests(root):
    """The images in testA, testB and testMask, as far as there are such folders."""
    folders = [Path(root) / name for name in ("testA", "testB", "testMask")]
    return [f for folder in folders if folder.is_dir() for f in list_images(folder)]


def check_images(files, bad, side=None, remarks=None):
    """Decode every file once, only to see if it can be; what cannot goes into the dict `bad`, with
    the reason."""
    read_all(list(files), lambda file: decode(file, 3, side) and None, bad, "checking images")


def left_alone(left):
    return ""


def say_remarks(remarks):
    pass


def drops(path):
    return set()


def read_square(path, size, channels=3):
    """The middle of an image as a tensor (channels, size, size) in [-1, 1]."""
    image = read_image(path, channels, size)
    left, top = ((n - size) // 2 for n in image.size)
    return to_tensor(image.crop((left, top, left + size, top + size)))


def bad_images(bad, instead=""):
    """The InputError that lists the files in a dict {file: reason}."""
    names = sorted((shown(file), problem) for file, problem in bad.items())
    if len(names) == 1:
        return InputError(f"{names[0][0]} cannot be read as an image ({names[0][1]}); "
                          f"replace or remove it{instead}.")
    return InputError("\n".join([
        f"{len(names)} files cannot be read as images; replace or remove them{instead}:",
        *(f"  {name}: {problem}" for name, problem in names)]))


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


