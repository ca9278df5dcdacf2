"""Networks to and from files: our checkpoints, and the files of the authors' implementation.

A checkpoint holds tensors and plain values only and is loaded with `weights_only=True`: opening
one never runs code. It is written beside the old one, synced and renamed, and the one before is
kept, so that there is a whole one at any moment.
"""

import contextlib
import io
import os
import pickle
import re
import sys
import zipfile
from pathlib import Path

import torch
from torch import nn

from ..generator import Generator
from . import parallel
from .errors import InputError

FORMAT = 3
GENERATORS = "generators"  # the format of files with the two generators alone
LAST, BEFORE, DAMAGED = "checkpoint.pt", "checkpoint_before.pt", "checkpoint_damaged.pt"


class Damaged(InputError):
    """A file that once was right and no longer is: the one before it may serve."""


def pick_device(name="auto"):
    """"auto" is the first of cuda, mps, cpu that this machine has; else the device asked for."""
    if name == "auto":
        name = ("cuda" if torch.cuda.is_available()
                else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        torch.zeros(1, device=name).cpu()  # "meta" is a device too, and holds nothing
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(f"--device {name} does not work on this machine; "
                         "use cpu, or auto to take the best there is.") from error
    return torch.device(name)


def write_whole(path, data, before=None):
    """Write bytes to `path`, whole or not at all: beside it first, synced, then renamed.

    before  where the present file at `path` goes; None: it is replaced
    Raises OSError where there is no room or no permission; then `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if before and path.exists():
            os.replace(path, before)
        os.replace(temporary, path)
    except OSError as error:
        error.filename = str(path)
        with contextlib.suppress(OSError):  # half a file is of no use, and takes room
            temporary.unlink()
        raise


def save_checkpoint(path, content, before=None):
    """Write a dict of tensors and plain values to `path`; see write_whole."""
    buffer = io.BytesIO()  # torch hides what goes wrong with a file; in memory nothing does
    torch.save({"format": FORMAT, **content}, buffer)
    write_whole(path, buffer.getbuffer(), before)


def load_checkpoint(path, aside=False):
    """The content of a checkpoint, on the CPU; `path` is the file or its run folder.

    In a run folder, a damaged last checkpoint is passed over for the one before, with a word on
    stderr; `aside` renames it too, or it would be the one before when the run goes on and saves.
    InputError where it is missing, damaged, or not ours.
    """
    path = Path(path)
    if not path.is_dir():
        return read_checkpoint(path)
    last, before = path / LAST, path / BEFORE
    if not last.exists() and before.exists():  # killed just between two renames
        return read_checkpoint(before)
    try:
        return read_checkpoint(last)
    except Damaged as error:
        if not before.exists():
            raise
        content = read_checkpoint(before)
        if parallel.rank() == 0:
            print(f"{error} {before} takes its place.", file=sys.stderr)
            if aside:
                os.replace(last, path / DAMAGED)
        return content


def read_checkpoint(path):
    content = read_tensors(path)
    if not isinstance(content, dict) or not {"format", "networks"} <= content.keys():
        raise InputError(f"{path} is not a checkpoint of minicyclegan; "
                         f"give a run folder, or the {LAST} in it.")
    if content["format"] not in (FORMAT, GENERATORS):
        raise InputError(f"{path} has format {content['format']}, this version reads {FORMAT}; "
                         "install the version of minicyclegan that wrote it.")
    if not isinstance(content.get("config"), dict) or not isinstance(content["networks"], dict):
        raise InputError(f"{path} lacks the options or the networks of its run; use another "
                         "checkpoint.")
    return content


def read_tensors(path):
    """torch.load of tensors and plain values, with a clear InputError for anything else."""
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; give a run folder or a checkpoint file.")
    with open(path, "rb") as file:
        start = file.read(2)
    if start != b"PK" and start[:1] != b"\x80":  # a zip, or a pickle as the oldest versions wrote
        kind = "not a checkpoint at all" if start else "empty"
        raise Damaged(f"{path} is {kind}; use another checkpoint.")
    try:
        if start == b"PK":
            with zipfile.ZipFile(path) as file:  # torch itself does not compare the checksums
                if any(entry.compress_type for entry in file.infolist()) or file.testzip():
                    raise zipfile.BadZipFile
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} holds more than tensors and plain values, which could run code; "
                         "nothing of it was run. Use another checkpoint.") from error
    except MemoryError:
        raise
    except Exception as error:  # damaged files make torch.load raise many things
        raise Damaged(f"{path} is damaged or cut off; use another checkpoint.") from error


def load_generator(path, to, device="cpu"):
    """The trained generator to domain `to` ("A" or "B") of a run or checkpoint, and its config.

    `path` may also be a generator file of the authors' implementation (latest_net_G_A.pth, ...):
    it holds one direction, so `to` changes nothing.
    """
    if Path(path).is_file() and Path(path).suffix == ".pth":
        weights = read_tensors(path)
        config = reference_config(weights, path)
        generator = load_reference(Generator(**config), weights)
    else:
        checkpoint = load_checkpoint(path)
        config = checkpoint["config"]
        need_generator(config, path)
        with torch.device("meta"):  # takes no memory, however large it is said to be
            generator = new_generator(config)
        load_network(generator, checkpoint, "G_AB" if to == "B" else "G_BA")
    return generator.to(device).eval(), config


def need_generator(config, path):
    """InputError where a dict, of whatever origin, does not describe a generator."""
    width, blocks, channels, upsample = (config.get(k) for k in (
        "width", "blocks", "channels", "upsample"))
    if not (type(width) is type(blocks) is type(channels) is int and 1 <= width <= 1024
            and 0 <= blocks <= 100 and channels in (1, 3) and upsample in ("transpose", "resize")):
        raise InputError(f"{path} describes no generator that this version has; use another "
                         "checkpoint.")


def new_generator(config):
    """A fresh generator with the architecture that a config (a dict) describes."""
    return Generator(**{k: config[k] for k in ("width", "blocks", "channels", "upsample")})


def load_network(network, checkpoint, name):
    """Fill a network with the weights that a checkpoint has under `name`, "G_AB" for one."""
    weights = checkpoint["networks"].get(name)
    shapes = {key: (weight.shape, weight.dtype) for key, weight in network.state_dict().items()}
    if not isinstance(weights, dict) or shapes != {
            key: torch.is_tensor(weight) and (weight.shape, weight.dtype)
            for key, weight in weights.items()}:
        raise InputError(f"the checkpoint holds no {name} that fits its own config: its weights "
                         "are of another architecture; use the checkpoint.pt of one run.")
    if not all(weight.layout == torch.strided and weight.isfinite().all()
               for weight in weights.values()):
        raise InputError(f"the {name} in the checkpoint has weights that are no numbers; use "
                         "another checkpoint.")
    meta = any(weight.is_meta for weight in network.parameters())
    network.load_state_dict(weights, assign=meta)


def export_generators(run, file):
    """Write the two generators of a run, all that `translate` and `evaluate` need, to a file: a
    tenth of the checkpoint. No training goes on from it; `run` is a run folder or a checkpoint."""
    checkpoint, run, file = load_checkpoint(run), Path(run), Path(file)
    if file.resolve() in (run.resolve(), (run / LAST).resolve(), (run / BEFORE).resolve()):
        raise InputError(f"{file} is the checkpoint itself, which training could not go on from "
                         "any more; name another file.")
    weights = {}
    for name in ("G_AB", "G_BA"):
        generator = new_generator(checkpoint["config"])
        load_network(generator, checkpoint, name)
        weights[name] = generator.state_dict()
    save_checkpoint(file, {"format": GENERATORS, "config": checkpoint["config"],
                           "step": checkpoint.get("step"), "networks": weights})


def shipped_model(name="toy"):
    """The file of a model that comes with the package; data/README.md tells how it was made."""
    here = Path(__file__).parent  # in a clone it is below data, in an installed package beside us
    files = [here.parent / "data" / "models" / f"{name}.pt", here / "models" / f"{name}.pt"]
    for file in files:
        if file.is_file():
            return file
    raise InputError(f"{files[0]} is missing; install minicyclegan again, or clone it anew.")


def load_reference(network, source):
    """Fill a Generator or Discriminator with weights of the authors' PyTorch implementation.

    source  a file as they publish them (latest_net_G_A.pth, latest_net_D_A.pth, ...) or its
            state dict. Their G_A is our G_AB, their D_A (which judges domain B) our D_B.
    Returns the network. A `module.` prefix and the running statistics of old versions are passed
    over; so are biases in front of an instance norm, which takes them out again.

    Raises InputError where the weights are of another architecture.
    """
    name = "the weights" if isinstance(source, dict) else str(source)
    theirs = reference_convolutions(source if isinstance(source, dict) else read_tensors(source),
                                    name)
    ours = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    shapes = [[tuple(w.shape) for w in (pair["weight"] for pair in theirs)],
              [tuple(m.weight.shape) for m in ours]]
    if shapes[0] != shapes[1]:
        i = next((i for i, (a, b) in enumerate(zip(*shapes, strict=False)) if a != b),
                 min(map(len, shapes)))
        raise InputError(
            f"{name} does not fit: {len(theirs)} convolutions, {len(ours)} expected; the first "
            f"difference is at number {i + 1}; build the {type(network).__name__} with the width "
            "and depth (or blocks) that these weights were trained with.")
    with torch.no_grad():
        for conv, pair in zip(ours, theirs, strict=True):
            conv.weight.copy_(pair["weight"])
            if conv.bias is not None:
                if pair.get("bias", torch.empty(0)).shape != conv.bias.shape:
                    raise InputError(f"{name} lacks a bias that fits; use another file.")
                conv.bias.copy_(pair["bias"])
    return network


def reference_convolutions(state, name):
    """Their convolutions in the order of the layers, [{"weight": ..., "bias": ...}, ...]."""
    convolutions = {}
    for key, value in state.items() if isinstance(state, dict) else ():
        if not isinstance(key, str) or not torch.is_tensor(value) or value.is_complex():
            continue
        place = tuple(int(n) for n in re.findall(r"\.(\d+)(?=\.)", "." + key))
        kind = key.rsplit(".", 1)[-1]
        if kind in ("weight", "bias"):
            convolutions.setdefault(place, {})[kind] = value
    pairs = [convolutions[place] for place in sorted(convolutions)]
    if not pairs or any(p.get("weight", torch.empty(0)).dim() != 4 or w.layout != torch.strided
                        or not w.isfinite().all() for p in pairs for w in p.values()):
        raise InputError(f"{name} holds no weights of a CycleGAN network with instance norm; "
                         "give one of the authors' generator or discriminator files.")
    return pairs


def reference_config(state, name):
    """The architecture of one of the authors' ResNet generators, read off its weights."""
    convolutions = reference_convolutions(state, name)
    channels, width = convolutions[0]["weight"].shape[1::-1]
    blocks = (len(convolutions) - 6) // 2  # without three on either side, two to a block
    config = {"width": width, "blocks": blocks, "channels": channels, "upsample": "transpose"}
    need_generator(config, name)
    return config
