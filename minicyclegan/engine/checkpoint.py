"""Files that are whole or not there, and checkpoints: tensors and plain values, nothing else.

A checkpoint is loaded with `weights_only=True`: opening one never runs code. It is written beside
the old one, synced and renamed, and the one before is kept, so that there is a whole one at any
moment.
"""

import contextlib
import csv
import io
import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import torch

from .errors import InputError
from .parallel import rank

FORMAT = 4
LAST, BEFORE = "checkpoint.pt", "checkpoint_before.pt"


class Damaged(InputError):
    """A file that once was right and no longer is: the one before it may serve."""


def write_whole(path, data, before=None):
    """Write bytes to `path`, whole or not at all: beside it first, synced, then renamed.

    before  where the present file at `path` goes; None: it is replaced
    Raises OSError where there is no room or no permission; then `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[-60:]}.tmp")  # names have an end: 255 bytes
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


def write_json(path, content):
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


def write_csv(path, rows):
    """Write dicts of the same names as a table, numbers with four digits."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
                     for row in rows)
    write_whole(path, text.getvalue().encode(errors="backslashreplace"))  # odd file names


def save_checkpoint(path, content, before=None):
    """Write a dict of tensors and plain values to `path`; see write_whole."""
    buffer = io.BytesIO()  # torch hides what goes wrong with a file; in memory nothing does
    torch.save({"format": FORMAT, **content}, buffer)
    write_whole(path, buffer.getbuffer(), before)


def load_checkpoint(path, mend=False, foreign=False):
    """The content of a checkpoint, on the CPU; `path` is the file or its run folder.

    In a run folder, a damaged last checkpoint is passed over for the one before, with a word on
    stderr; `mend` removes it too, or it would be the one before when the run goes on and saves.
    InputError where it is missing or damaged, or not ours unless `foreign`.
    """
    path = Path(path)
    last, before = (path / LAST, path / BEFORE) if path.is_dir() else (path, None)
    if before and before.exists() and not last.exists():  # killed just between two renames
        last, before = before, None
    try:
        content = read_tensors(last)
    except Damaged as error:
        if not (before and before.exists()):
            raise
        content = read_tensors(before)
        if rank() == 0:
            print(f"{error} {before} takes its place.", file=sys.stderr)
            if mend:
                last.unlink()
    if not is_ours(content):
        if foreign:
            return content
        raise InputError(f"{last} is not a checkpoint of minicyclegan; give a run folder, or the "
                         f"{LAST} in it.")
    if content["format"] != FORMAT:
        raise InputError(f"{last} has format {content['format']}, this version reads {FORMAT}; "
                         "install the version of minicyclegan that wrote it.")
    return content


def is_ours(content):
    return isinstance(content, dict) and {"format", "config", "networks"} <= content.keys()


def read_tensors(path):
    """torch.load of tensors and plain values, with a clear InputError for anything else."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a run folder or a checkpoint file.")
    with open(path, "rb") as file:
        start = file.read(2)
    try:
        if start == b"PK":
            with zipfile.ZipFile(path) as file:
                is_program = any("/code/" in name for name in file.namelist())  # TorchScript
                if is_program or file.testzip():  # torch does not compare the checksums
                    raise zipfile.BadZipFile
        elif start[:1] != b"\x80":  # no pickle of the oldest versions either
            raise ValueError
        return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} holds more than tensors and plain values, which could run code; "
                         "nothing of it was run. Use another checkpoint.") from error
    except Exception as error:  # damaged files make torch.load raise many things
        raise Damaged(f"{path} is no checkpoint, or is damaged or cut off; use another checkpoint."
                      ) from error


def fill(network, weights, name, source):
    """Load a state dict into a network; InputError names both where it does not fit."""
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{source} holds no {name} that fits: its weights are of another "
                         "architecture than its options say; use the checkpoint.pt of one run, and "
                         "the make_model that it was trained with.") from error
