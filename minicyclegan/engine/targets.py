"""Where results go: never over what is there, whole or not at all, and not beyond the memory."""

import io
from pathlib import Path

from PIL import Image
from torch import nn

from .checkpoint import write_whole
from .device import free_memory
from .errors import InputError, shown
from .images import SUFFIXES, reason


def find_targets(files, out, overwrite, skip_existing):
    """Where each result goes, {target: file}, without those to skip."""
    targets = {}
    for file in files:
        target = Path(out) / file.name
        if target in targets:
            raise InputError(f"{shown(targets[target])} and {shown(file)} have the same name, so "
                             f"one would write over the other in {out}; name an image once, and "
                             "translate others into different folders.")
        if target.exists() and target.resolve() == file.resolve():
            raise InputError(f"{shown(target)} exists already, and is the image itself; choose "
                             "another --out.")
        if target.exists() and not (overwrite or skip_existing):
            raise InputError(f"{shown(target)} exists already; choose another --out, or add "
                             "--overwrite or --skip-existing.")
        if file.suffix.lower() not in SUFFIXES:
            raise InputError(f"{shown(file)} does not end like an image ({', '.join(SUFFIXES)}); "
                             "name image files or folders of them.")
        targets[target] = file
    return {t: f for t, f in targets.items() if not (skip_existing and t.exists())}


def fitting(generator, file, device, shrink, size=None):
    """The shorter side to translate an image at: `size`, None for its own, and where that does not
    fit into memory, with `shrink`, one that does."""
    free = free_memory(device)
    with Image.open(file) as image:
        scale = size / min(image.size) if size else 1
        width, height = (round(scale * side) for side in image.size)
    needed = memory_needed(generator, width, height)
    if free is None or needed <= free:
        return size
    if not shrink:
        raise InputError(f"{shown(file)}, {width}×{height} pixels, would take about "
                         f"{needed / 1e9:.0f} GB of memory, and {free / 1e9:.0f} GB are free; make "
                         "it smaller, or add --shrink.")
    side = int(min(width, height) * (free / needed) ** 0.5)
    print(f"{shown(file)} is translated with a shorter side of {side} pixels, to fit into memory")
    return side


def say_scale(files, learned):
    """A remark where an image is far larger than those that a model has learned from, which had a
    shorter side of `learned` pixels."""
    for file in files:
        with Image.open(file) as image:
            if min(image.size) > 2 * learned:
                print(f"{shown(file)} has {image.width}×{image.height} pixels, and the model has "
                      f"learned from a shorter side of {learned}: try --size {learned}")
                return


def save_image(image, target, file):
    """Write an image, whole or not at all; `file` is what it was made of."""
    buffer = io.BytesIO()
    try:
        image.save(buffer, Image.registered_extensions()[target.suffix.lower()], quality=95)
    except Exception as error:  # WebP ends at 16383 pixels a side, JPEG at 65500
        raise InputError(f"{shown(target)} cannot be written ({reason(error)}); give "
                         f"{shown(file)} another suffix.") from error
    write_whole(target, buffer.getbuffer())


def memory_needed(generator, width, height):
    """Bytes that a generator takes for an image, roughly: as many times its first layer's output
    as it says by `copies`, which was measured."""
    channels = next(m.out_channels for m in generator.modules() if isinstance(m, nn.Conv2d))
    return width * height * channels * 4 * getattr(generator, "copies", 13)
