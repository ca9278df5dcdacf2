"""Apply a trained generator to images of any size."""

import os
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .engine.checkpoint import load_generator, pick_device
from .engine.errors import InputError, shown
from .engine.images import (
    SUFFIXES,
    bad_images,
    check_images,
    list_images,
    read_image,
    reason,
    to_image,
    to_tensor,
)


@torch.no_grad()
def translate_image(generator, image):
    """PIL image ("RGB" or "L", as the generator's channels) to a PIL image of the same size.

    Sides that are no multiple of 4, or under 8, are padded by reflection and cropped back.
    """
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    pad = [(0, max(8, -(-n // 4) * 4) - n) for n in (height, width)]
    pixels = np.pad(pixels, pad + [(0, 0)] * (pixels.ndim - 2), mode="reflect")
    device = next(generator.parameters()).device
    fake = to_image(generator(to_tensor(pixels)[None].to(device))[0])
    return fake.crop((0, 0, width, height))


def translate(run, to, inputs, out, overwrite=False, device="auto"):
    """Translate image files to domain `to`, "A" or "B"; names and sizes stay.

    run     run folder, checkpoint, or a generator file of the authors' implementation
    inputs  image files and folders of images
    out     folder for the results, made where it is missing
    Returns the files written. Everything is checked before the first file is written: raises
    InputError for an input that is missing or no image, for two inputs of one name, and for a
    result that exists already, unless `overwrite`.
    """
    generator, config = load_generator(run, to, pick_device(device))
    files = [f for i in inputs for f in (list_images(i) if Path(i).is_dir() else [Path(i)])]
    targets = {}
    for file in files:
        target = Path(out) / file.name
        if target in targets:
            raise InputError(f"{shown(targets[target])} and {shown(file)} have the same name, so "
                             f"one would write over the other in {out}; translate them into "
                             "different folders.")
        if target.exists() and (not overwrite or target.resolve() == file.resolve()):
            raise InputError(f"{shown(target)} exists already; choose another --out"
                             + ("." if overwrite else ", or add --overwrite."))
        if file.suffix.lower() not in SUFFIXES:
            raise InputError(f"{shown(file)} does not end like an image ({', '.join(SUFFIXES)}); "
                             "name image files or folders of them.")
        if not os.path.lexists(file):
            raise InputError(f"{shown(file)} does not exist; give image files or folders of them.")
        targets[target] = file
    bad = {}
    check_images(files, bad)
    if bad:
        raise bad_images(bad)
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made a folder ({error.strerror}); "
                         "choose another --out.") from error
    for target, file in tqdm(targets.items(), f"translating to {to}", unit="image"):
        image = read_image(file, config["channels"])
        fake = translate_image(generator, image)
        try:
            fake.save(target, quality=95)
        except Exception as error:  # WebP ends at 16383 pixels a side, JPEG at 65500
            target.unlink(missing_ok=True)  # no half of an image
            if getattr(error, "errno", None):
                raise  # of the disk
            raise InputError(f"{shown(target)} cannot be written ({reason(error)}); give "
                             f"{shown(file)} another suffix.") from error
    return list(targets)
