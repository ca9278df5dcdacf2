"""The paper's experiments at toy scale: many runs, each measured against the truth.

    minicyclegan ablate                                        the paper's five variants, 3 seeds
    minicyclegan ablate full "squares: adversarial=least_squares" --seeds 8  # two settings

Every (setting, seed) is an ordinary run folder, trained by `minicyclegan train` in a process of its
own, several at once; what it says is in output.txt there. Interrupt it when you like: the same
command goes on.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields
from itertools import groupby
from pathlib import Path
from statistics import mean, stdev

import torch
from tqdm import tqdm

from ..config import FREE, TOY, Config, as_config, idle, make_config
from ..engine.checkpoint import write_csv, write_json, write_whole
from ..engine.device import allowed_threads, pick_device
from ..engine.errors import InputError
from ..engine.run import stored
from . import plots
from .evaluate import WAYS, apply, evaluate, load_both, mean_absolute_error, read_pairs
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
            new = {variant: own | {k: v for k, v in options.items()
                                   if k not in dict(idle(Config(**own)))}
                   for variant, own in VARIANTS.items()}
        elif colon or name in VARIANTS:
            new = {name: VARIANTS.get(name, {}) | options}
        else:
            raise InputError(f'setting "{text}" is neither paper nor one of {", ".join(VARIANTS)}; '
                             'for one of your own write "NAME: OPTION=VALUE ...".')
        for name in map(folder_name, new):
            if not name or name in map(folder_name, settings):
                raise InputError(f'setting "{text}" needs a name of its own; write '
                                 '"NAME: OPTION=VALUE ...".')
        settings |= new
    return settings


def parse_option(option, text):
    """"width=32" to ("width", 32); whether it can be 32, Config knows."""
    name, equals, value = option.partition("=")
    name = name.replace("-", "_")
    known = {f.name for f in fields(Config)} - {"data", "pairs", "seed", "device"}
    if not equals or name not in known:
        raise InputError(f'setting "{text}": "{option}" is not OPTION=VALUE with an option that '
                         "minicyclegan train --help lists; data, their pairs, seeds and device "
                         "are the same for all, and options of ablate.")
    try:
        return name, json.loads(value)  # numbers, true and false
    except ValueError:
        return name, value


def folder_name(name):
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")


def config_of(name, options, common):
    """The Config of a setting."""
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
    waiting, running = [run for run in runs if not is_done(run)], {}
    bar = tqdm(desc="training", total=len(runs), initial=len(runs) - len(waiting), unit="run",
               dynamic_ncols=True, disable=not waiting)
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.pop(0)
                running[run] = start(run, runs[run], max(1, cores // jobs))
            time.sleep(0.1)
            for run in [run for run in running if running[run].poll() is not None]:
                check_end(run, running.pop(run).returncode)
                bar.update()
    except BaseException as error:
        for process in running.values():
            # A terminal sends Ctrl-C to all of its processes, and told twice they would not save.
            if not isinstance(error, KeyboardInterrupt):
                process.terminate()
        for process in running.values():
            process.wait()
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            print(f"stopped and saved, {sum(map(is_done, runs))} of {len(runs)} runs are finished; "
                  "the same command goes on", file=sys.stderr)
        raise
    finally:
        bar.close()
        signal.signal(signal.SIGTERM, before)


def is_done(run):
    return (run / "scores.json").exists()


def check_run(run, config):
    """Refuse a run with another config."""
    there = asdict(as_config(stored(run)[0], run)) if (run / "config.json").exists() else {}
    for name, value in asdict(config).items():
        if there and name not in FREE and there[name] != value:
            raise InputError(f"{run} was trained with {name} {there[name]}, not {value}; choose "
                             "another --out, or another name for the setting.")


def start(run, config, threads):
    """A process that goes on with a run. One that has config.json alone begins with the first
    step. Few threads: those that share a small network's work wait for each other."""
    if not (run / "config.json").exists():
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / "config.json", asdict(config))
    with open(run / "output.txt", "w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "minicyclegan", "train", f"--resume={run}",
             f"--data={config.data}", f"--device={config.device}"], stdout=output, stderr=output,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "TQDM_DISABLE": "1"})


def check_end(run, code):
    if code:
        said = (run / "output.txt").read_text(errors="replace").strip() or "it said nothing"
        raise InputError(f"{run} ended with exit code {code} ({said.splitlines()[-1]}), see "
                         "output.txt there; put it right, with --jobs 1 if memory ran out, and "
                         "the same command goes on.")


# Measuring


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
    numbers = columns(scores, "ours")
    for way, back in zip(WAYS, (G_BA, G_AB), strict=True):
        real, fake, truth = map(torch.stack, list(zip(*examples[way], strict=True))[2:])
        ours, nothing = scores[way]["ours"], scores[way]["nothing"]
        spread = (fake.std(0).mean() / truth.std(0).mean().clamp(min=1e-12)).item()
        numbers |= {
            f"reconstruction_{way[0]}": mean_absolute_error(apply(back, fake, device), real),
            f"checkerboard_{way}": nyquist_energy(fake) / max(nyquist_energy(truth), 1e-12),
            f"spread_{way}": spread,
            f"collapsed_{way}": int(ours["mae"] >= nothing["mae"] or spread < 0.5)}
    return numbers, examples


def columns(scores, answer):
    return {f"{COLUMNS[name]}_{way}": value for way in WAYS
            for name, value in scores[way][answer].items() if name in COLUMNS}


def nyquist_energy(images):
    """Mean energy per image at the highest frequencies, where a pixel and its neighbour have
    opposite signs: a checkerboard, or stripes of one pixel, along either axis or both."""
    power = torch.fft.fft2(images.double(), norm="forward").abs().square()  # (N, C, H, W)
    row, column = power[..., power.shape[-2] // 2, :], power[..., power.shape[-1] // 2]
    both = row[..., power.shape[-1] // 2]  # in both sums
    return (row.sum(-1) + column.sum(-1) - both).mean().item()


# Tables and pictures


def table(rows):
    """A Markdown table for each direction: mean ± standard deviation over the runs of a setting.
    rows: dicts, those of runs.csv and after them those of the lazy, which lack some columns."""
    def cell(runs, key):
        values = [run[key] for run in runs if key in run]
        if key.startswith("collapsed"):
            return f"{sum(values)} of {len(values)}" * bool(values)
        digits = 2 if key.startswith(("ssim", "checkerboard", "spread")) else 1
        return " ± ".join(f"{number:.{digits}f}" for number in (
            [mean(values), stdev(values)] if len(values) > 1 else values))

    settings = {name: list(runs) for name, runs in groupby(rows, lambda row: row["setting"])}
    lines = []
    for way, arrow in WAYS.items():
        keys = [key for key in rows[0] if key.endswith((way, f"reconstruction_{way[0]}"))]
        heads = [key.removesuffix(f"_{way}").replace("_", " of ") for key in keys]
        lines += [[arrow, *heads], ["---"] * (1 + len(keys))]
        lines += [[name, *(cell(runs, key) for key in keys)] for name, runs in settings.items()]
        lines += [[]]
    return "\n".join(f"| {' | '.join(line)} |" if line else "" for line in lines)


def sample_sheet(samples, path):
    """Rows: the input, each setting's fakes, the truth; on the left A to B, on the right B to A.
    samples  {setting: examples as evaluate has them}"""
    columns, heads = [], []
    for way, arrow in WAYS.items():
        ways = [sorted(examples[way], key=lambda row: row[1]) for examples in samples.values()]
        for rows in plots.evenly(list(zip(*ways, strict=True)), 3):  # of one image by all settings
            _, _, real, _, truth = rows[0]
            columns.append([real, *(fake for _, _, _, fake, _ in rows), truth])
            heads.append(arrow)
    columns.insert(len(columns) // 2, [None] * len(columns[0]))
    heads.insert(len(heads) // 2, "")
    plots.show(list(zip(*columns, strict=True)), ["input", *samples, "truth"], path, heads)


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

    same, rows, samples = torch.nn.Identity(), [], {}  # its scores are those of doing nothing
    scores, _ = evaluate(same, same, tests)
    lazy = [{"setting": f"lazy: {answer}"} | columns(scores, answer)
            for answer in scores["A_to_B"] if answer != "ours"]
    for (name, seed), run in tqdm(runs.items(), "measuring", leave=False, delay=2):
        G_AB, G_BA, _ = load_both(run, device)
        numbers, examples = measure(G_AB, G_BA, pairs, device)
        rows.append({"setting": name, "seed": seed} | numbers)
        samples.setdefault(name, examples)  # of seed 0

    results.mkdir(parents=True, exist_ok=True)
    text = table(rows + lazy)
    write_whole(results / "table.md", text.encode())
    write_csv(results / "runs.csv", rows)
    sample_sheet(samples, results / "samples.png")
    print(text)
    print(f"all numbers, and samples (seed 0), are in {results}")
