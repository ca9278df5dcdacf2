"""Image files of all kinds to images, or one clear sentence.

A file is decoded as a viewer shows it. Where its values would arrive as something else, it is
refused with the reason, or goes into a dict `remarks` {what to tell the user: [files]}, so that it
is said once for the whole data set. tests/engine/test_images.py has the table of all kinds.
"""

import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

from . import formats
from .errors import InputError, shown

# No .gif: a translated image would be written as one again, with 256 colours.
SUFFIXES = (".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
MAX_PIXELS = 89_478_485  # Pillow's bound too, above which a file may be meant to fill the memory
ACCIDENTS = (LookupError, TypeError, EOFError, struct.error)  # what damaged files make of decoders
SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir")


# ---------------------------------------------------------------- which files

def list_images(folder, left=None):
    """The image files of a folder, by name. A dict `left` collects what is left alone, {path:
    suffix or "folder"}; hidden files (a Mac's notes on x.jpg are called ._x.jpg) and those of the
    system are passed over in silence. InputError where there is no folder or no image."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{shown(folder)} is not a folder; a data set is a folder that holds "
                         "trainA and trainB (name it by --data), see data/README.md.")
    entries = sorted(f for f in folder.iterdir()
                     if not f.name.startswith(".") and f.name.lower() not in SYSTEM_FILES)
    files = [f for f in entries if f.suffix.lower() in SUFFIXES]
    others = {f: "folder" if f.is_dir() else f.suffix or "no suffix"
              for f in entries if f.suffix.lower() not in SUFFIXES}
    if not files:
        known, others = ", ".join(s[1:] for s in SUFFIXES), left_alone(others)
        raise InputError(f"{shown(folder)} holds no images ({known})"
                         f"{others and ', with ' + others}; put some there.")
    if left is not None:
        left.update(others)
    return files


def left_alone(left):
    """What list_images left alone, in a few words: "10 others left alone (.txt, .csv, folder)",
    "" for nothing."""
    ends = [shown(end) for end, _ in Counter(sorted(left.values())).most_common()]
    ends = ", ".join(ends[:5] + ["..."] * (len(ends) > 5))
    return f"{len(left)} other{'s' * (len(left) > 1)} left alone ({ends})" if left else ""


# ---------------------------------------------------------------- one file

def need_possible(channels, side):
    """InputError for a number of channels, or a side in pixels, that no image has here."""
    if channels not in (1, 3):
        raise InputError(f"channels must be 1 or 3, not {channels}.")
    if side is not None and side < 1:
        raise InputError(f"the side of an image is at least 1 pixel, not {side}.")


def read_image(path, channels=3, side=None, remarks=None):
    """The image as it should be seen, as a PIL image of mode "RGB" (3 channels) or "L" (1).

    Turned upright by its EXIF orientation, transparency laid on white, 16 bits brought to 8, the
    first frame of an animation; with `side`, the shorter side brought to so many pixels.
    InputError names the file where it cannot be read.
    """
    need_possible(channels, side)
    try:
        return decode(path, channels, side, remarks)
    except Exception as error:  # decoders raise anything at all on damaged files
        raise bad_images({path: reason(error)}) from error


def decode(path, channels, side, remarks=None):
    """read_image with exceptions as they come."""
    path = Path(path)
    if not path.is_file():  # opening a pipe would wait for somebody to write to it
        raise ValueError("is a folder" if path.is_dir() else "is no plain file" if path.exists()
                         else "links to nothing" if path.is_symlink() else "does not exist")
    if path.stat().st_size == 0:
        raise ValueError("is empty")
    with formats.open_image(path) as file:
        if file.width * file.height > MAX_PIXELS:  # before memory is taken for it
            raise Image.DecompressionBombError
        said, wide = list(formats.remarks_on(file)), formats.is_wide(file)
        image = ImageOps.exif_transpose(file)
    if image.mode.startswith("I"):
        wide = np.asarray(image).any()  # where all is black, no gray is lost
        image = formats.gray_in_8_bits(image, formats.tags_of(file))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        said += formats.remarks_on_alpha(image)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("L", "RGB"):  # Lab becomes gray by way of RGB only
        image = image.convert("RGB")
    if wide:
        said += formats.remarks_on_grays(image)
    image = image.convert("RGB" if channels == 3 else "L")
    if remarks is not None:
        for text in said:
            remarks.setdefault(text, []).append(path)
    return resize(image, side) if side else image


def say_remarks(remarks):
    """Print each remark once, with the number of files and the name of one."""
    for text, files in sorted(remarks.items()):
        first, *others = sorted(set(map(str, files)))
        print(f"{shown(first)}{f' and {len(others)} more' if others else ''}: {text}.")


def drops(path):
    """What an image of 8 bits, RGB or gray, no longer has of this file, without decoding it: some
    of {"transparency", "16 bits", "georeference"}."""
    with formats.open_image(path) as file:
        lost = {"transparency": file.has_transparency_data, "16 bits": formats.is_wide(file),
                "georeference": not formats.GEOREFERENCE.isdisjoint(formats.tags_of(file))}
    return {name for name, is_lost in lost.items() if is_lost}


def reason(error):
    """Why a file could not be decoded, in a few words; a full memory is no reason of the file."""
    if isinstance(error, MemoryError):
        raise error
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS // 10**6} million pixels; make a smaller image of it"
    text = " ".join((getattr(error, "strerror", None) or str(error)).split())
    number = text.removeprefix("decoder error ").lstrip("-").isdigit()
    if number or not text or isinstance(error.__cause__ or error, ACCIDENTS):
        return "damaged, or of a kind that Pillow cannot decode"
    return text


# ---------------------------------------------------------------- many files

def read_all(files, read, bad, title):
    """{file: read(file)}, read by several threads; files that cannot be read go into the dict
    `bad` instead, with the reason."""
    def attempt(file):
        try:
            return read(file), None
        except Exception as error:
            return None, reason(error)

    threads = ThreadPoolExecutor()
    try:
        done = tqdm(threads.map(attempt, files), title, len(files), leave=False, delay=2)
        done = list(zip(files, done, strict=True))
    finally:
        threads.shutdown(cancel_futures=True)  # Ctrl-C need not wait for all the others
    bad.update((file, problem) for file, (_, problem) in done if problem)
    return {file: result for file, (result, problem) in done if not problem}


def check_images(files, bad, side=None, remarks=None):
    """Decode every file once, only to see if it can be; what cannot goes into the dict `bad`."""
    read_all(list(files), lambda file: decode(file, 3, side, remarks) and None, bad,
             "checking images")


def bad_images(bad, instead=""):
    """The InputError that lists the files in a dict {file: reason}."""
    names = sorted((shown(file), problem) for file, problem in bad.items())
    if len(names) == 1:
        return InputError(f"{names[0][0]} cannot be read as an image ({names[0][1]}); "
                          f"replace or remove it{instead}.")
    return InputError("\n".join([
        f"{len(names)} files cannot be read as images; replace or remove them{instead}:",
        *(f"  {name}: {problem}" for name, problem in names)]))


# ---------------------------------------------------------------- images and tensors

def read_square(path, size, channels=3):
    """The middle of an image as a tensor (channels, size, size) in [-1, 1]."""
    image = read_image(path, channels, size)
    left, top = ((n - size) // 2 for n in image.size)
    return to_tensor(image.crop((left, top, left + size, top + size)))


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
