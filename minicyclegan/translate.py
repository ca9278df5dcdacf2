"""Trained networks from files, and a trained generator on images of any size."""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import cyclegan
from .config import Config, as_config
from .engine.checkpoint import fill, is_ours, load_checkpoint
from .engine.device import pick_device, seeded
from .engine.errors import InputError
from .engine.images import (
    bad_images,
    check_images,
    drops,
    left_alone,
    list_images,
    read_image,
    say_remarks,
    to_image,
    to_tensor,
)
from .engine.parallel import say
from .engine.pretrained import load_reference, reference_config
from .engine.targets import find_targets, fitting, save_image, say_scale
from .generator import Generator

# Their G_A maps A to B and their D_A judges domain B: the letters are not ours.
AUTHORS = {"G_AB": "latest_net_G_A.pth", "G_BA": "latest_net_G_B.pth",
           "D_A": "latest_net_D_B.pth", "D_B": "latest_net_D_A.pth"}
ARCHITECTURE = ("generator", "width", "blocks", "channels", "upsample", "disc_width", "disc_depth")


def load_networks(path, make_model=cyclegan.make_model):
    """Networks by name, {"G_AB": ..., "G_BA": ..., ...}, and the Config that they were made with.

    path        a run folder, a checkpoint or an export of ours (which has no discriminators); one
                of the authors' generator files, which holds one direction and is called "G"
    make_model  that of the run, where it was one of your own, see cyclegan.make_model
    InputError where there is no such file, or it holds something else.
    """
    content = load_checkpoint(path, foreign=True)
    if not is_ours(content):
        found = reference_config(content, path)
        config = Config(generator="resnet", size=256, **found)  # as all that they publish
        networks = {"G": load_reference(Generator(**found), path)}
    else:
        config = as_config(content["config"], path)
        with seeded(0):  # fresh weights, only to be written over
            networks = dict(make_model(config).named_children())
        for name, weights in content["networks"].items():
            fill(networks.get(name), weights, name, path)  # None where make_model knows none of it
        networks = {name: networks[name] for name in content["networks"]}
    for name, network in networks.items():
        if not all(p.isfinite().all() for p in network.parameters()):
            raise InputError(f"{path} has weights of {name} that are no finite numbers; use "
                             "another checkpoint.")
    return {name: network.eval() for name, network in networks.items()}, config


def load_generator(path, to, device="cpu", make_model=cyclegan.make_model):
    """The trained generator to domain `to` ("A" or "B"), and its Config; see load_networks. A file
    of the authors holds one direction: it is taken for the one to `to`, and that is said."""
    if to not in ("A", "B"):
        raise InputError(f"images are translated to A or to B, not to {to!r}.")
    networks, config = load_networks(path, make_model)
    if "G" in networks:
        say(f"{path} holds one direction, which is taken for the one to {to}")
    name = "G_AB" if to == "B" else "G_BA"
    found = [networks[n] for n in (f"average_{name}", name, "G") if n in networks]
    if not found:
        raise InputError(f"{path} holds no {name}; use another checkpoint.")
    return found[0].to(device), config


def start_from(model, path):
    """Give a new model the weights of other networks: those of a run, an export, or the authors'
    files, a whole folder of them or one generator, which is taken for G_AB. Says what was taken.
    InputError where they are of another architecture."""
    path, taken, fresh = Path(path), [], []
    theirs = {name: path / file for name, file in AUTHORS.items() if (path / file).is_file()}
    if not theirs:
        theirs, _ = load_networks(path)
        if "G" in theirs:
            theirs = {"G_AB": theirs["G"]}
    for name, network in sorted(model.named_children()):
        # an average without one begins with what it is an average of
        source = theirs.get(name, theirs.get(name.removeprefix("average_")))
        (fresh if source is None else taken).append(name)
        if isinstance(source, Path):
            load_reference(network, source)
        elif source is not None:
            fill(network, source.state_dict(), name, path)
    say(f"{', '.join(taken)} from {path}" + (f"; {', '.join(fresh)} fresh" if fresh else ""))


@torch.no_grad()
def translate_image(generator, image):
    """PIL image ("RGB" or "L", as the generator's channels) to a PIL image of the same size.

    Sides that the generator cannot take are padded by reflection and cropped back. InputError for
    an image of another mode.
    """
    pixels, n = np.asarray(image), getattr(generator, "multiple", 8)
    mode = getattr(image, "mode", pixels.dtype)  # arrays of 8 bits will do as well
    if mode not in ("L", "RGB", np.uint8):
        raise InputError(f"an image of mode {mode} holds no gray or RGB in 0..255; read_image "
                         "makes such of a file, image.convert of others.")
    height, width = pixels.shape[:2]
    pad = [(0, max(2 * n, -(-side // n) * n) - side) for side in (height, width)]
    pixels = np.pad(pixels, pad + [(0, 0)] * (pixels.ndim - 2), mode="reflect")
    device = next(generator.parameters()).device
    fake = to_image(generator(to_tensor(pixels)[None].to(device))[0])
    return fake.crop((0, 0, width, height))


def translate(run, to, inputs, out, overwrite=False, device="auto", skip_existing=False,
              shrink=False, size=None, make_model=cyclegan.make_model):
    """Translate image files to domain `to`, "A" or "B"; names stay, and sizes without `size`.

    run     run folder, checkpoint, or a generator file of the authors' implementation
    inputs  image files and folders of images
    out     folder for the results, made where it is missing
    skip_existing  leave images alone whose result is there, to go on with a call that broke off
    shrink  make images smaller that would not fit into memory
    size    bring the shorter side of every image to so many pixels first, at least 16: a generator
            knows stripes of the width that it has learned
    Returns the files written. Everything is checked before the first file is written: raises
    InputError for an input that is missing or no image or too large for the memory, for two inputs
    of one name, and for a result that exists already, unless `overwrite` or `skip_existing`.
    """
    if overwrite and skip_existing:
        raise InputError("--overwrite replaces results that --skip-existing leaves alone; give one "
                         "of them.")
    if size is not None and size < 16:
        raise InputError(f"--size must be at least 16, not {size}.")
    device, out, left, remarks, bad = pick_device(device), Path(out), {}, {}, {}
    generator, config = load_generator(run, to, device, make_model)
    files = [f for i in inputs for f in (list_images(i, left) if Path(i).is_dir() else [Path(i)])]
    targets = find_targets(files, out, overwrite, skip_existing)
    check_images(targets.values(), bad, remarks=remarks)
    if bad:
        raise bad_images(bad)
    sizes = {file: fitting(generator, file, device, shrink, size) for file in targets.values()}
    if left:
        print(left_alone(left))
    if size is None:
        say_scale(targets.values(), round(config.size * config.zoom))
    say_remarks(remarks)
    lost = sorted(set().union(*map(drops, targets.values())))
    if lost:
        print(f"some of the images have what no result will have: {', '.join(lost)}")
    out.mkdir(parents=True, exist_ok=True)
    for target, file in tqdm(targets.items(), f"translating to {to}", unit="image"):
        image = read_image(file, config.channels, sizes[file])
        save_image(translate_image(generator, image), target, file)
    return list(targets)
