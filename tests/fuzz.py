"""Feed the command line with what it does not expect, again and again.

    python tests/fuzz.py --cases 2000 --seed 0             all kinds in turn
    python tests/fuzz.py --only images,options             some of them
    python tests/fuzz.py --seed 0 --case 123               one case again, with all that it prints

Images, checkpoints and stored options are damaged, options are dealt at random. Each case runs one
command, and passes if that ends well (0), or with exit code 2 and clear sentences; never with a
traceback, a hang, a warning in between, a file left half-written, or one that was there changed.
"""

import argparse
import contextlib
import copy
import faulthandler
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np
import torch
from conftest import OPTIONS, draw_photos
from PIL import Image
from tqdm import tqdm

from minicyclegan.__main__ import main, parser
from minicyclegan.engine.checkpoint import load_checkpoint
from minicyclegan.lab import plots, toy  # noqa: F401  imported before memory is limited

KINDS = ("images", "checkpoints", "configs", "options")
SECONDS, MEMORY = 30, 8 * 2**30  # of one case: processor time, address space
PROGRESS = re.compile(r".*(\d+%\|.*\||\d+(it|image|step|B) \[).*")
CLEAR = re.compile(r"minicyclegan( \w+)?: \S.*|  \S.*|step \d+: .*|.* takes its place\."
                   r"|stopped after step .*"
                   # libtiff speaks for itself, and nothing in Python can stop it
                   r"|\w*(TIFF|Decode|LZW|Fax|JPEG)\w*: .*|tempfile\.tif: .*"
                   r"|More samples per pixel.*|MissingRequired: .*")
ODD = [None, True, False, -1, 0, 1, 3, 2**31, 2**70, -(2**70), 0.5, -0.0, 1e300, float("nan"),
       float("inf"), "", "x", "64", "\0", "/dev/null", "a\nb", "🦓", b"x", [], {}, (), [1, [2]],
       {"x": {}}, "cpu", "auto", "bf16", "one_way", "L2"]


class Hang(BaseException):
    """No Exception: nothing in the package may catch it."""


def damaged(rng, data):
    """Bytes with a few changes."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5, 20])):
        at = rng.randrange(len(data) + 1) if rng.random() < 0.6 else rng.randrange(
            min(64, len(data)) + 1)
        n = rng.choice([1, 1, 2, 4, 16, 200])
        kind = rng.randrange(7)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at + n] = rng.randbytes(n)
        elif kind == 2:
            data[at:at + n] = rng.choice([b"\0", b"\xff", b"\x7f"]) * n
        elif kind == 3:
            del data[at:at + n]
        elif kind == 4:
            data[at:at] = rng.randbytes(n)
        elif kind == 5:
            data[at:at] = data[at:at + n]
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def image_file(rng):
    """A whole image of a random kind, as bytes."""
    size = rng.choice([(1, 1), (8, 8), (16, 16), (23, 17), (5, 40)])
    pixels = np.frombuffer(rng.randbytes(size[0] * size[1] * 4), np.uint8)
    image = Image.fromarray(pixels.reshape(size[1], size[0], 4), "RGBA")
    format, mode, settings = rng.choice([
        ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "L", {}), ("PNG", "LA", {}),
        ("PNG", "P", {}), ("PNG", "1", {}), ("PNG", "I;16", {}), ("PNG", "P", dict(transparency=0)),
        ("PNG", "RGB", dict(frames=2)), ("JPEG", "RGB", {}), ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}), ("JPEG", "RGB", dict(progressive=True)), ("BMP", "RGB", {}),
        ("BMP", "P", {}), ("BMP", "1", {}), ("GIF", "P", {}), ("GIF", "P", dict(frames=2)),
        ("TIFF", "RGB", {}), ("TIFF", "I;16", {}), ("TIFF", "CMYK", {}), ("TIFF", "F", {}),
        ("TIFF", "RGB", dict(compression="tiff_lzw")), ("TIFF", "1", dict(compression="group4")),
        ("TIFF", "RGBA", dict(compression="tiff_adobe_deflate")), ("WEBP", "RGB", {}),
        ("TIFF", "LAB", {}), ("TIFF", "RGB", dict(compression="jpeg")),
        ("WEBP", "RGBA", dict(lossless=True)), ("WEBP", "RGB", dict(frames=2))])
    settings = dict(settings)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert("RGB").convert(mode) if mode not in ("RGBA", "LA") else (
            image.convert(mode))
    if settings.pop("frames", 0):
        settings |= dict(save_all=True, append_images=[image.transpose(
            Image.Transpose.FLIP_LEFT_RIGHT)])
    if format in ("JPEG", "PNG", "WEBP", "TIFF") and "compression" not in settings and (
            rng.random() < 0.3):
        settings["exif"] = Image.Exif()
        settings["exif"][0x0112] = rng.randrange(10)
    out = io.BytesIO()
    image.save(out, format, **settings)
    return out.getvalue()


def odd_name(rng):
    return rng.choice(["x", "a b", "-x", "ü🦓", "a\nb", "$x$", "%s{}", os.fsdecode(b"\xff"), ".x",
                       "x" * 200, "'", "\x1b[31m"]) + rng.choice(
        [".png", ".jpg", ".JPG", ".tif", ".webp", ".bmp", ".jpeg"])


def images_case(rng, base):
    folder = rng.choice(["trainA", "trainB", "testA", "testB"])
    for _ in range(rng.choice([1, 1, 2, 4])):
        content = image_file(rng)
        content = content if rng.random() < 0.15 else damaged(rng, content)
        try:
            Path("data", folder, odd_name(rng)).write_bytes(content)
        except OSError:  # a file system that cannot have such names
            pass
    what = rng.random()
    if what < 0.75:
        Path("one").mkdir()
        for file in list(Path("data", folder).iterdir()):
            if not (base / "data" / folder / file.name).exists():
                file.rename(Path("one") / file.name)
        return ["translate", "run", "--to", rng.choice("AB"), "one", "--out", "out"]
    if what < 0.85:
        return ["evaluate", "run", "--data", "data", "--picture", "new.png"]
    options = rng.choice([[], ["--skip-bad"], ["--skip-bad", "--channels", "1"]])
    return ["train", "--data", "data", "--out", "out", *OPTIONS, "--steps", "1", *options]


def places(value, path=()):
    """All paths into nested dicts and lists."""
    yield path
    if isinstance(value, (dict, list, tuple)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def mutated(rng, content):
    """The dicts and lists of a config with a few values, keys or types changed."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        path = rng.choice([p for p in places(content) if p] or [()])
        if not path:
            return rng.choice(ODD)
        # as likely near the top as deep among the weights
        path = path[:rng.randint(1, len(path))]
        holder = content
        for key in path[:-1]:
            holder = holder[key]
        key, kind = path[-1], rng.random()
        if isinstance(holder, tuple):
            continue
        if kind < 0.15:
            del holder[key]
        elif kind < 0.25 and isinstance(holder, dict):
            holder[rng.choice([f"{key}x", 7, None, "", "config", "step"])] = holder[key]
        elif kind < 0.3:
            holder[key] = copy.deepcopy(content) if rng.random() < 0.2 else [holder[key]]
        elif isinstance(holder[key], (int, float)) and kind < 0.5:
            holder[key] = rng.choice([-holder[key], str(holder[key]), holder[key] * 2**40,
                                      holder[key] + 1, float(holder[key]), [holder[key]]])
        else:
            holder[key] = rng.choice([*ODD, torch.zeros(3), torch.tensor(2)])
    return content


def use_of_run(rng):
    """A command that reads the run folder or its checkpoint."""
    what = rng.random()
    if what < 0.5:
        return ["translate", rng.choice(["run", "run/checkpoint.pt"]), "--to", rng.choice("AB"),
                "data/testA", "--out", "out"]
    if what < 0.65:
        return ["evaluate", "run", "--picture", "new.png"]
    return ["train", "--resume", "run", "--stop-after", "1"]


def checkpoints_case(rng, base):
    path, kind = Path("run/checkpoint.pt"), rng.random()
    if rng.random() < 0.7:
        Path("run/config.json").unlink()
    if kind < 0.4:
        path.write_bytes(damaged(rng, path.read_bytes()))
    elif kind < 0.5:
        swap_entries(rng, path)
    elif kind < 0.6:  # as the authors publish theirs, with a layer missing
        weights = torch.load(base / "run/checkpoint.pt", weights_only=True)["networks"]["G_AB"]
        weights = {k.replace("layers", "model"): w for k, w in weights.items()}
        del weights[rng.choice(list(weights))]
        torch.save(weights, "latest_net_G_A.pth")
        return ["translate", "latest_net_G_A.pth", "--to", "B", "data/testA", "--out", "out"]
    else:  # a part of it missing
        content = torch.load(path, weights_only=True)
        part = rng.choice([content, content["networks"], content["optimizers"], content["pools"]])
        del part[rng.choice(list(part))]
        torch.save(content, path)
    return use_of_run(rng)


def swap_entries(rng, path):
    """The same zip with the contents of two entries exchanged, or one gone or twice."""
    import zipfile
    with zipfile.ZipFile(path) as file:
        entries = [(entry.filename, file.read(entry)) for entry in file.infolist()]
    i, j = rng.sample(range(len(entries)), 2)
    kind = rng.randrange(4)
    if kind == 0:
        entries[i], entries[j] = (entries[i][0], entries[j][1]), (entries[j][0], entries[i][1])
    elif kind == 1:
        del entries[i]
    elif kind == 2:
        entries[i] = (entries[i][0], damaged(rng, entries[i][1]))
    else:
        entries[i] = (entries[i][0] + "x", entries[i][1])
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries:
            file.writestr(name, content)


def configs_case(rng, base):
    path = Path("run/config.json")
    config = json.loads(path.read_text())
    if rng.random() < 0.4:
        Path("run/checkpoint.pt").unlink()  # stopped before its first checkpoint
    if rng.random() < 0.5:
        wrong = mutated(rng, config)
        text = json.dumps(wrong, default=str, skipkeys=True)
        path.write_bytes(damaged(rng, text.encode()) if rng.random() < 0.3 else text.encode())
    elif Path("run/checkpoint.pt").exists():
        content = torch.load("run/checkpoint.pt", weights_only=True)
        content["config"] = mutated(rng, content["config"])
        torch.save(content, "run/checkpoint.pt")
        path.unlink()
    else:
        path.write_bytes(damaged(rng, path.read_bytes()))
    return use_of_run(rng)


VALUES = ["", "-1", "0", "1", "2", "3", "16", "64", "0.5", "nan", "inf", "-inf", "1e400", "1e-400",
          "1e30", "99999999999999999999", "x", "..", "/dev/null", "/", "ü🦓", "A", "B", "cpu",
          "auto", "cuda:7", "toy", "paper", "fp32", "bf16", "log", "L2", "one_way", "data", "run",
          "run/checkpoint.pt", "out", "new.png", "new.json", "run/x/y", "run/config.json", "empty",
          "data/testA", "nowhere", "unet", "data/testA/A0.png", "-x", "horse2zebra", "1,5", "0x10"]


def options_case(rng, base):
    commands = parser(lab=True)._subparsers._group_actions[0].choices
    command = rng.choice([*commands, "train", "translate", "evaluate"])
    arguments = {"train": ["--data", "data", "--out", "out", *OPTIONS],
                 "translate": ["run", "--to", "B", "data/testA", "--out", "out"],
                 "evaluate": ["run", "--picture", "new.png"], "draw": ["out"],
                 "report": ["run"], "export": ["run", "new.pt"], "hiding": ["run"],
                 "ablate": ["full: generator=resnet size=16 width=2 steps=1", "--data", "data",
                            "--out", "out"],
                 "download": ["maps", "--from", "nowhere.zip"]}[command]
    if rng.random() < 0.15:
        arguments = ["--resume", "run"] if command == "train" else []
    if command == "download" and not arguments:
        arguments = ["--from", "run/checkpoint.pt"]  # never from the network
    # compile takes minutes; the others decide how much there is to do
    never = ("--help", "--compile", "--from", "--stop-after")
    options = [a for a in commands[command]._actions if not set(a.option_strings) & set(never)]
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        action = rng.choice(options)
        value = rng.choice(list(action.choices)) if action.choices and rng.random() < 0.3 else (
            rng.choice(VALUES))
        arguments = [*arguments, *action.option_strings[:1],
                     *([] if action.nargs == 0 else [str(value)])]
    if rng.random() < 0.1:
        arguments.insert(rng.randrange(len(arguments) + 1), rng.choice(VALUES))
    if command == "train":
        arguments += ["--stop-after", "1"]
    return [command, *arguments]


def files(folder):
    """What is in a folder: {path: hash, or None for folders}."""
    return {p.relative_to(folder): hashlib.sha256(p.read_bytes()).digest() if p.is_file() else None
            for p in sorted(folder.rglob("*")) if p.name != ".lock"}


def run(arguments):
    """The exit code of a command, and what it wrote to stderr, also by C libraries."""
    def hang(number, frame):
        raise Hang("it takes longer than it may")

    kept = os.dup(2)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as caught:
        os.dup2(caught.fileno(), 2)
        signal.signal(signal.SIGPROF, hang)
        signal.signal(signal.SIGALRM, hang)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of work
        signal.setitimer(signal.ITIMER_REAL, 20 * SECONDS)  # of waiting
        try:
            with (contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")),
                  contextlib.redirect_stderr(os.fdopen(os.dup(2), "w"))):
                try:
                    code = main(arguments)
                except SystemExit as stop:  # argparse leaves this way
                    code = stop.code or 0
                except BaseException:
                    code = traceback.format_exc()
                sys.stderr.close()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.dup2(kept, 2)
            os.close(kept)
        caught.seek(0)
        return code, caught.read()


def problem(arguments, before, code, stderr):
    """What is wrong with the way a command ended, None if nothing is."""
    if isinstance(code, str):
        return code
    lines = [line for line in re.split("[\r\n]|\x1b\\[A", stderr) if line.strip()
             and not PROGRESS.fullmatch(line)]
    unclear = [line for line in lines if not CLEAR.fullmatch(line)]
    sentences = [line for line in lines if line.startswith("minicyclegan")]
    if code not in (0, 2) or unclear or (code == 2) != bool(sentences):
        return f"exit code {code}, and on stderr:\n{stderr}"
    after = files(Path.cwd())
    litter = [str(p) for p in after if p.suffix in (".tmp", ".part", ".unpacking")]
    if litter:
        return f"left behind: {litter}"
    if code == 2:
        changed = [str(p) for p in before if after.get(p) != before[p]]
        new = [str(p) for p in after.keys() - before.keys()]
        # a run that goes wrong may have logged again what came after its checkpoint
        if changed and not (changed == ["run/log.csv"] and "training stopped there" in stderr):
            return f"refused, but changed {changed}:\n{stderr}"
        # a run that went wrong after its first checkpoint leaves that one whole
        if new and not (arguments[0] == "train" and Path("out/checkpoint.pt").exists()):
            return f"refused, but left {new}:\n{stderr}"
        if new:
            load_checkpoint(Path("out"))
    return None


def case(seed, number, kinds, base, scratch):
    """Run a case in a copy of `base`. Returns (arguments, code, stderr, problem)."""
    rng = random.Random(f"{seed}/{number}")
    np.random.seed(0)
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(base, scratch)
    os.chdir(scratch)
    kind = kinds[number % len(kinds)]
    arguments = globals()[f"{kind}_case"](rng, base)
    before = files(scratch)
    code, stderr = run(arguments)
    os.chdir(base)
    os.chdir(scratch)
    return arguments, code, stderr, problem(arguments, before, code, stderr)


def prepare(base):
    """A data set, whose test images pair, and a run stopped after three of six steps."""
    draw_photos(base / "data")
    for i in range(2):
        shutil.copy(base / "data/testA" / f"A{i}.png", base / "data/testB" / f"A{i}.png")
    for file in (base / "data/testB").glob("B*"):
        file.unlink()
    (base / "empty").mkdir()
    os.chdir(base)
    code, stderr = run(["train", "--data", "data", "--out", "run", *OPTIONS, "--pool-size", "2",
                        "--steps", "6", "--stop-after", "3"])
    assert code == 0, stderr
    (base / "run/checkpoint_before.pt").unlink()


def fuzz(seed, numbers, kinds):
    """Run cases. Returns the failures, [(number, arguments, what was wrong), ...]."""
    home, failures, codes = os.getcwd(), [], []
    toy.COUNTS, counts = dict(trainA=1, trainB=1, testA=1, testB=1), toy.COUNTS
    warnings.simplefilter("always")  # else each shows once only
    warnings.simplefilter("ignore", DeprecationWarning)  # as Python does by itself
    torch.set_num_threads(1)
    try:
        import resource
        limit = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, limit[1]))
    except (ImportError, ValueError, OSError):
        resource = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder).resolve()
            base = folder / "base"
            prepare(base)
            for number in tqdm(numbers, unit="case"):
                faulthandler.dump_traceback_later(40 * SECONDS, exit=True)
                arguments, code, stderr, wrong = case(seed, number, kinds, base,
                                                      folder / "cases" / "this")
                codes.append(code)
                if wrong:
                    failures.append((number, arguments, wrong))
                    tqdm.write(f"--- case {number} of seed {seed}: {arguments}\n{wrong}")
                elif len(numbers) == 1:
                    print(f"{arguments}\nexit code {code}\n{stderr}")
            faulthandler.cancel_dump_traceback_later()
            os.chdir(home)
    finally:
        os.chdir(home)
        toy.COUNTS = counts
        if resource:
            resource.setrlimit(resource.RLIMIT_AS, limit)
    print(f"seed {seed}: {len(codes)} cases, {codes.count(0)} ended well, {codes.count(2)} were "
          f"refused with a sentence, {len(failures)} failed")
    return failures


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=2000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    options.add_argument("--case", type=int, help="one case again, by its number")
    chosen = options.parse_args()
    todo = range(chosen.cases) if chosen.case is None else [chosen.case]
    sys.exit(bool(fuzz(chosen.seed, todo, chosen.only.split(","))))
