"""Files that are whole or not there, and checkpoints: tensors and plain values, nothing else.

A checkpoint is loaded with `weights_only=True`: opening one never runs code. It is written beside
the old one, synced and renamed, and the one before is kept, so that there is a whole one at any
moment.
"""

import contextlib
import io
import os
import pickle
import sys
import zipfile
from pathlib import Path

import torch

from .errors import InputError, shown
from .parallel import rank

FORMAT = 4
LAST, BEFORE, DAMAGED = "checkpoint.pt", "checkpoint_before.pt", "checkpoint_damaged.pt"
OTHERS = {  # how files of other kinds begin
    b"\x89HDF": "an HDF5 file, as Keras writes it", b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image", b"\x93NUM": "a NumPy array", b"version https://git-lfs":
    "a note of Git LFS in place of the file itself", b"<": "a web page", b"{": "a JSON text"}


class Damaged(InputError):
    """A file that once was right and no longer is: the one before it may serve."""


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
    except BaseException as error:  # a full disk, or the second Ctrl-C
        if isinstance(error, OSError):
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
        if rank() == 0:
            print(f"{error} {before} takes its place.", file=sys.stderr)
            if aside:
                os.replace(last, path / DAMAGED)
        return content


def read_checkpoint(path):
    content = read_tensors(path)
    if not is_ours(content):
        raise InputError(f"{path} is not a checkpoint of minicyclegan, but seems to be "
                         f"{kind_of(content)}; give a run folder, or the {LAST} in it.")
    if content["format"] != FORMAT:
        raise InputError(f"{path} has format {content['format']}, this version reads {FORMAT}; "
                         "install the version of minicyclegan that wrote it.")
    return content


def is_ours(content):
    return isinstance(content, dict) and {"format", "config", "networks"} <= content.keys()


def kind_of(content):
    """What a file that is not ours seems to hold, in a few words."""
    if not isinstance(content, dict):
        return f"a single {type(content).__name__}"
    names = ", ".join(shown(str(key)) for key in list(content)[:3])
    if content and all(torch.is_tensor(value) for value in content.values()):
        return f"the weights of one network ({len(content)} tensors: {names}, ...)"
    return f"a file of another program (it holds {names or 'nothing'})"


def read_tensors(path):
    """torch.load of tensors and plain values, with a clear InputError for anything else."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a run folder or a checkpoint file.")
    with open(path, "rb") as file:
        start = file.read(64)
    if start[:2] != b"PK" and start[:1] != b"\x80":  # a zip, or a pickle of the oldest versions
        kind = next((name for begin, name in OTHERS.items() if start.startswith(begin)), None)
        if start[8:10] == b'{"':
            kind = "a safetensors file"
        if kind:
            raise InputError(f"{path} is {kind}, not a checkpoint; give a run folder, or the "
                             f"{LAST} in it.")
        raise Damaged(f"{path} is {'not a checkpoint at all' if start else 'empty'}; use another "
                      "checkpoint.")
    try:
        if start[:2] == b"PK":
            with zipfile.ZipFile(path) as file:
                names = [name.partition("/")[2] for name in file.namelist()]
                if names and "data.pkl" not in names:
                    raise InputError(f"{path} is a zip of another kind, not a checkpoint; give a "
                                     f"run folder, or the {LAST} in it.")
                if any(name.startswith("code/") for name in names):
                    raise InputError(f"{path} is a TorchScript program, not a checkpoint; save its "
                                     "state_dict() with torch.save, and give that.")
                if file.testzip():  # torch itself does not compare the checksums
                    raise zipfile.BadZipFile
        return torch.load(path, map_location="cpu", weights_only=True)
    except (InputError, MemoryError):
        raise
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} holds more than tensors and plain values, which could run code; "
                         "nothing of it was run. Use another checkpoint.") from error
    except Exception as error:  # damaged files make torch.load raise many things
        raise Damaged(f"{path} is damaged or cut off; use another checkpoint.") from error


def fill(network, weights, name, source):
    """Load a state dict into a network; InputError names both where it does not fit."""
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{source} holds no {name} that fits: its weights are of another "
                         "architecture than its options say; use the checkpoint.pt of one run, and "
                         "the make_model that it was trained with.") from error
