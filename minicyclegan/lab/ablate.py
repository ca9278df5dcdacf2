"""The paper's experiments at toy scale: many runs, each measured against the truth.

    minicyclegan ablate                                        the paper's five variants, 3 seeds
    minicyclegan ablate full "log: adversarial=log" --seeds 8  two settings, 8 seeds

Every (setting, seed) is an ordinary run folder, trained by `minicyclegan train` in a process of its
own, several at once. Interrupt it when you like: the same command goes on.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from statistics import mean, stdev

import torch
from tqdm import tqdm

from ..config import FREE, TOY, Config, as_config, dashed, idle, make_config
from ..engine.checkpoint import write_whole
from ..engine.device import allowed_threads, pick_device
from ..engine.errors import InputError
from ..engine.run import stored
from . import plots
from .evaluate import WAYS, evaluate, load_both, mean_absolute_error, read_pairs, write_csv
from .toy import toy_set

VARIANTS = {  # section 5.1.4
    "cycle alone": dict(lambda_adversarial=0.0),
    "GAN alone": dict(lambda_cycle_A=0.0, lambda_cycle_B=0.0),
    "GAN + forward cycle": dict(lambda_cycle_B=0.0),
    "GAN + backward cycle": dict(lambda_cycle_A=0.0),
    "full": {},
}
COLUMNS = {"mae": "error", "mae_animal": "animal", "mae_background": "background", "ssim": "ssim",
           "found": "found"}  # name of a score in evaluate.py: of a column in runs.csv


def parse_settings(texts):
    """Settings from the command line, as {name: options of Config}.

    "log: adversarial=log lr=1e-3" is a name and its options; "full" or another variant's name
    alone is that variant; "paper" is all five, "paper: size=128" all five with that option.
    """
    settings = {}
    for text in texts:
        name, colon, options = (part.strip() for part in text.partition(":"))
        options = dict(parse_option(option, text) for option in options.split())
        if name == "paper":  # "cycle alone", for one, has no use for the pool's size
            new = {variant: own | options for variant, own in VARIANTS.items()}
            new = {variant: {k: v for k, v in own.items() if k not in dict(idle(Config(**own)))}
                   for variant, own in new.items()}
        elif colon or name in VARIANTS:
            new = {name: VARIANTS.get(name, {}) | options}
        else:
            raise InputError(f'setting "{text}" is neither paper nor one of {", ".join(VARIANTS)}; '
                             'for one of your own write "NAME: OPTION=VALUE ...".')
        for name in new:
            if not folder_name(name):
                raise InputError(f'setting "{text}" has no name; write "NAME: OPTION=VALUE ...".')
            if folder_name(name) in map(folder_name, settings):
                raise InputError(f'two settings are called "{name}"; give each its own name.')
        settings |= new
    return settings


def parse_option(option, text):
    """"width=32" to ("width", 32); whether it can be 32, Config knows."""
    name, equals, value = option.partition("=")
    name = name.replace("-", "_")
    if not equals or name not in asdict(Config()):
        raise InputError(f'setting "{text}": "{option}" is not OPTION=VALUE with an option that '
                         "minicyclegan train --help lists.")
    if name in ("data", "seed", "device"):
        raise InputError(f'setting "{text}": {name} is the same for all; give '
                         f'--{name}{"s" * (name == "seed")} to ablate itself.')
    try:
        return name, json.loads(value)  # numbers, true and false
    except ValueError:
        return name, value


def folder_name(name):
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")


def config_of(name, options, common):
    """The Config of a setting; the steps that are common to all give way to epochs of its own."""
    if options.get("epochs"):
        common = {k: v for k, v in common.items() if k != "steps"}
    try:
        return make_config("toy", **common | options)
    except InputError as error:
        raise InputError(f'setting "{name}": {error}') from error


# Training


def train_all(runs, jobs, cores):
    """Train {run folder: Config}, `jobs` at a time; a run that is done is left alone, one that
    stopped goes on. At Ctrl-C and SIGTERM they save and leave."""
    for run, config in runs.items():
        check_run(run, config)
    waiting = [run for run in runs if not is_done(run)]
    # One thread each is the quickest way to use all cores: threads that share a small network's
    # work wait for each other.
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, cores // jobs)), "TQDM_DISABLE": "1"}
    processes, stopped = [], threading.Event()

    def train(run):
        process = subprocess.Popen(
            [sys.executable, "-m", "minicyclegan", "train", *words(run, runs[run])],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        processes.append(process)
        if stopped.is_set():  # meanwhile
            process.terminate()
        said = process.communicate()[0].strip()
        processes.remove(process)
        if process.returncode and not stopped.is_set():
            raise failure(run, process.returncode, said)

    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    threads = ThreadPoolExecutor(jobs)
    try:
        ends = as_completed([threads.submit(train, run) for run in waiting])
        for end in tqdm(ends, "training", len(runs), initial=len(runs) - len(waiting), unit="run",
                        dynamic_ncols=True, disable=not waiting):
            end.result()
    except BaseException as error:
        stopped.set()
        # A terminal sends Ctrl-C to all of its processes, and told twice they would not save.
        for process in [] if isinstance(error, KeyboardInterrupt) else list(processes):
            process.terminate()
        threads.shutdown(cancel_futures=True)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            print(f"stopped and saved, {sum(map(is_done, runs))} of {len(runs)} runs are finished; "
                  "the same command goes on", file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def is_done(run):
    return (run / "scores.json").exists()


def check_run(run, config):
    """Refuse a folder that is no run, or one with another config."""
    if not (run / "config.json").exists():
        if run.exists() and any(not file.name.startswith(".") for file in run.iterdir()):
            raise InputError(f"{run} is not a run folder; choose another --out.")
        return
    there = asdict(as_config(stored(run)[0], run))
    for name, value in asdict(config).items():
        if name not in FREE and there[name] != value:
            raise InputError(f"{run} was trained with {name} {there[name]}, not {value}; choose "
                             "another --out, or another name for the setting.")


def words(run, config):
    """The options of `minicyclegan train` that begin a run, or go on with it."""
    if (run / "config.json").exists():
        return ["--resume", str(run), "--data", config.data, "--device", config.device]
    usual = asdict(Config())
    new = {dashed(name): value for name, value in asdict(config).items() if value != usual[name]
           and not (name == "steps" and config.epochs)}  # then they are 0, nothing to ask for
    return ["--out", str(run), *(
        f"--{name}={value}" if type(value) is not bool else f"--{name}" if value else f"--no-{name}"
        for name, value in new.items())]


def failure(run, code, said):
    """The exception for a run that ended with an exit code other than 0."""
    if code == 2:
        return InputError(f"{run.name}: {said.splitlines()[-1]}")
    if code < 0 or code > 128:
        return InputError(f"{run.name} was ended from outside (exit code {code}; if memory ran "
                          "out, give --jobs 1); the same command goes on.")
    return RuntimeError(f"training {run} failed:\n{said}")


# Measuring


@torch.no_grad()
def measure(G_AB, G_BA, pairs, device="cpu"):
    """The numbers of a run, {column of runs.csv: number}, and its examples as evaluate has them.
    For either direction, A_to_B for one, there are those of COLUMNS (error_A_to_B) and

    reconstruction_A  mean absolute error of rec_A against real_A
    checkerboard_     energy of the fakes at the Nyquist frequencies, over that of the truth
    spread_           how much the fakes differ from each other, over how much the truth does
    collapsed_        1 where the error is no smaller than doing nothing's, or the spread below a
                      half: fixed before any run was looked at
    """
    scores, examples = evaluate(G_AB, G_BA, pairs, device)
    numbers = {}
    for way, back in zip(WAYS, (G_BA, G_AB), strict=True):
        real, fake, truth = map(torch.stack, list(zip(*examples[way], strict=True))[2:])
        rec = torch.cat([back(x.to(device)).float().cpu() for x in fake.split(8)])
        ours, nothing = scores[way]["ours"], scores[way]["nothing"]
        spread = (fake.std(0).mean() / truth.std(0).mean().clamp(min=1e-12)).item()
        numbers |= columns(ours, way) | {
            f"reconstruction_{way[0]}": mean_absolute_error(rec, real),
            f"checkerboard_{way}": nyquist_energy(fake) / max(nyquist_energy(truth), 1e-12),
            f"spread_{way}": spread,
            f"collapsed_{way}": int(ours["mae"] >= nothing["mae"] or spread < 0.5)}
    return numbers, examples


def columns(scores, way):
    return {f"{COLUMNS[k]}_{way}": value for k, value in scores.items() if k in COLUMNS}


def nyquist_energy(images):
    """Mean energy per image at the highest frequencies, where a pixel and its neighbour have
    opposite signs: a checkerboard, or stripes of one pixel, along either axis or both."""
    power = torch.fft.fft2(images.double(), norm="forward").abs().square()  # (N, C, H, W)
    row, column = power[..., power.shape[-2] // 2, :], power[..., power.shape[-1] // 2]
    both = row[..., power.shape[-1] // 2]  # in both sums
    return (row.sum(-1) + column.sum(-1) - both).mean().item()


# Tables and pictures


def table(rows, lazy):
    """A Markdown table for each direction: mean ± standard deviation over the seeds.

    rows  of runs.csv, dicts. lazy  {answer: {column: number}}: what a run has to beat
    """
    def cell(runs, key):
        values = [run[key] for run in runs if key in run]  # the lazy have no way back, for one
        if key.startswith("collapsed"):
            return f"{sum(values)} of {len(values)}" * bool(values)
        digits = 2 if key.startswith(("ssim", "checkerboard", "spread")) else 1
        return " ± ".join(f"{number:.{digits}f}" for number in (
            [mean(values), stdev(values)] if len(values) > 1 else values))

    settings = {name: list(runs) for name, runs in groupby(rows, lambda row: row["setting"])}
    settings |= {f"lazy: {answer}": [row] for answer, row in lazy.items()}
    lines = []
    for way, arrow in WAYS.items():
        keys = [key for key in rows[0] if key.endswith((way, f"reconstruction_{way[0]}"))]
        heads = [key.removesuffix(f"_{way}").replace("_", " of ") for key in keys]
        lines += [[arrow, *heads], ["---"] * (1 + len(keys))]
        lines += [[name, *(cell(runs, key) for key in keys)] for name, runs in settings.items()]
        lines += [[]]
    return "\n".join(f"| {' | '.join(line)} |" if line else "" for line in lines)


def few(examples, count=3):
    """Some of the examples of one direction, the same for every run: [(real, fake, truth), ...]."""
    examples = sorted(examples, key=lambda row: row[1])
    picks = torch.linspace(0, len(examples) - 1, min(count, len(examples))).long()
    return [examples[i][2:] for i in picks]


def sample_sheet(samples, path):
    """Rows: the input, each setting's fakes, the truth; on the left A to B, on the right B to A.
    samples  {setting: (few of A to B, few of B to A)}"""
    first = next(iter(samples.values()))
    rows = [[*(images[k] for images in left), None, *(images[k] for images in right)]
            for k, (left, right) in ((0, first), *((1, own) for own in samples.values()),
                                     (2, first))]
    heads = [arrow for arrow in WAYS.values() for _ in first[0]]
    heads.insert(len(first[0]), "")
    plots.show(rows, ["input", *samples, "truth"], path, heads)


# The command


def ablate(out, settings, seeds=3, jobs=None, results=None, **common):
    """Train every (setting, seed) below `out`, measure, and write the results.

    settings  {name: options of Config}; common  options of all of them: data, steps, device
    jobs      runs at a time; None: one for each core, on a GPU one
    results   folder for runs.csv, table.md and samples.png, which are renewed; `out` if None
    Where it was stopped, the same call goes on.
    """
    out, results = Path(out), Path(results or out)
    runs = {(name, seed): out / f"{folder_name(name)}-{seed}"
            for name in settings for seed in range(seeds)}
    configs = {run: config_of(name, settings[name], common | {"seed": seed})
               for (name, seed), run in sorted(runs.items(), key=lambda item: item[0][1])}
    if len({(c.size, c.channels) for c in configs.values()}) > 1:
        raise InputError("the settings have images of different sizes or channels, which cannot be "
                         "compared with each other; call ablate once for each.")
    if results.exists() and any(results.iterdir()) and results != out and not (
            results / "runs.csv").exists():
        raise InputError(f"{results} holds other things; choose another --results.")
    config = next(iter(configs.values()))
    if config.data == TOY:
        toy_set()
    tests = read_pairs(config.data, config)
    if len(tests) < 2:
        raise InputError(f"{config.data} has 1 pair of test images; at least 2 are needed to see "
                         "whether the fakes differ.")
    device, pairs = pick_device(config.device), list(tests)
    cores = min(torch.get_num_threads(), allowed_threads())
    train_all(configs, jobs or (cores if device.type == "cpu" else 1), cores)

    same = torch.nn.Identity()  # its scores are those of doing nothing
    scores, lazy, rows, samples = evaluate(same, same, tests)[0], {}, [], {}
    for way in WAYS:
        for answer, own in scores[way].items():
            lazy.setdefault(answer, {}).update(columns(own, way))
    del lazy["ours"]
    for (name, seed), run in tqdm(runs.items(), "measuring", leave=False, delay=2):
        G_AB, G_BA, _ = load_both(run, device)
        numbers, examples = measure(G_AB, G_BA, pairs, device)
        rows.append({"setting": name, "seed": seed} | numbers)
        samples.setdefault(name, [few(examples[way]) for way in WAYS])  # of seed 0

    results.mkdir(parents=True, exist_ok=True)
    text = table(rows, lazy)
    write_whole(results / "table.md", text.encode())
    write_csv(results / "runs.csv", rows)
    sample_sheet(samples, results / "samples.png")
    print(text)
    print(f"all numbers, and samples (seed 0), are in {results}")
