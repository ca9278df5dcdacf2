"""The paper's experiments at toy scale: many runs, each measured against the truth.

    minicyclegan ablate                                        the paper's five variants, 3 seeds
    minicyclegan ablate full "log: adversarial=log" --seeds 8  two settings, 8 seeds

Every (setting, seed) is an ordinary run folder, trained by `minicyclegan train` in a process of its
own, several at once. Interrupt it when you like: the same command goes on.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, fields
from pathlib import Path
from statistics import mean, median, stdev

import torch
from tqdm import tqdm

from ..config import FREE, TOY, Config, as_config, dashed, idle, make_config
from ..engine.checkpoint import write_whole
from ..engine.device import allowed_threads, pick_device
from ..engine.errors import InputError
from ..engine.run import stored
from . import plots
from .evaluate import (
    WAYS,
    lazy_answers,
    load_both,
    mean_absolute_error,
    read_pairs,
    scores_of,
    write_csv,
)
from .toy import toy_set

VARIANTS = {  # section 5.1.4
    "cycle alone": dict(lambda_adversarial=0.0),
    "GAN alone": dict(lambda_cycle_A=0.0, lambda_cycle_B=0.0),
    "GAN + forward cycle": dict(lambda_cycle_B=0.0),
    "GAN + backward cycle": dict(lambda_cycle_A=0.0),
    "full": {},
}


def parse_settings(texts):
    """Settings from the command line, as {name: options of Config}.

    "log: adversarial=log lr=1e-3" is a name and its options; "full" or another variant's name
    alone is that variant; "paper" is all five, "paper: size=128" all five with that option.
    """
    settings = {}
    for text in texts:
        name, colon, options = (part.strip() for part in text.partition(":"))
        options = dict(parse_option(option, text) for option in options.split())
        if name == "paper":
            new = {variant: in_use(own | options) for variant, own in VARIANTS.items()}
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
            settings[name] = new[name]
    return settings


def parse_option(option, text):
    """"width=32" to ("width", 32), as Config has it."""
    name, equals, value = option.partition("=")
    types = {f.name: f.type for f in fields(Config)}
    name = name.replace("-", "_")
    if not equals or name not in types:
        raise InputError(f'setting "{text}": "{option}" is not OPTION=VALUE with an option that '
                         "minicyclegan train --help lists.")
    if name in ("data", "seed", "device"):
        raise InputError(f'setting "{text}": {name} is the same for all; give '
                         f'{dict(seed="--seeds").get(name, "--" + name)} to ablate itself.')
    try:
        if types[name] is bool:
            return name, {"true": True, "false": False}[value.lower()]
        return name, types[name](value)
    except (KeyError, ValueError):
        raise InputError(f'setting "{text}": {name} cannot be {value}; it is of type '
                         f"{types[name].__name__}.") from None


def in_use(options):
    """Without those that others switch off: "cycle alone" has no use for the pool's size."""
    off = [name for name, _ in idle(Config(**options))]
    return {name: value for name, value in options.items() if name not in off}


def folder_name(name):
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")


def config_of(name, options):
    try:
        return make_config("toy", **options)
    except InputError as error:
        raise InputError(f'setting "{name}": {error}') from error


# Training the grid


def train_all(runs, jobs):
    """Train {run folder: Config}, `jobs` at a time. Returns 0, or 128 + the signal that stopped it.

    A run that is finished is left alone, one that stopped goes on.
    """
    waiting = [run for run in runs if not (run / "scores.json").exists()]
    for run in runs:
        check_run(run, runs[run])
    # One thread each is the quickest way to use all cores: threads that share a small network's
    # work wait for each other.
    threads = max(1, cores() // jobs)
    running, signals = {}, []
    before = {number: signal.signal(number, lambda number, frame: signals.append(number))
              for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with tqdm(total=len(runs), unit="run", dynamic_ncols=True, disable=not waiting,
                  initial=sum(progress(run, config) for run, config in runs.items()),
                  bar_format="{desc}{percentage:3.0f}%|{bar}| {n:.1f}/{total} runs "
                             "[{elapsed}<{remaining}]") as bar:
            while (waiting or running) and not signals:
                while waiting and len(running) < jobs:
                    run = waiting.pop(0)
                    running[run] = start(run, runs[run], threads)
                time.sleep(0.2)
                for run, (process, output) in list(running.items()):
                    if process.poll() is not None:
                        del running[run]
                        with output:
                            if process.returncode:
                                raise failure(run, process.returncode, output)
                bar.n = sum(progress(run, config) for run, config in runs.items())
                bar.set_description_str(", ".join(run.name for run in running) + ": "
                                        if running else "")
    finally:
        for process, _ in running.values():  # they save, and leave
            process.terminate()
        for process, output in running.values():
            process.wait()
            output.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    if signals:
        done = sum((run / "scores.json").exists() for run in runs)
        print(f"stopped and saved, {done} of {len(runs)} runs are finished; the same command "
              "goes on", file=sys.stderr)
        return 128 + signals[0]
    return 0


def cores():
    return min(torch.get_num_threads(), allowed_threads())


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


def start(run, config, threads):
    """A process that trains a run, and the file that collects what it says."""
    if (run / "config.json").exists():
        words = ["--resume", run, "--device", config.device]
    else:
        words, usual = ["--out", run], asdict(Config())
        if config.epochs:  # then steps are 0, which is nothing to ask for
            del usual["steps"]
        for name in usual:
            value, flag = getattr(config, name), f"--{dashed(name)}"
            if value != usual[name]:
                words += [flag, value] if type(value) is not bool else [
                    flag if value else f"--no-{flag[2:]}"]
    output = tempfile.TemporaryFile("w+")
    return subprocess.Popen(
        [sys.executable, "-m", "minicyclegan", "train", *map(str, words)],
        stdout=output, stderr=subprocess.STDOUT,
        env=os.environ | {"OMP_NUM_THREADS": str(threads), "TQDM_DISABLE": "1"}), output


def failure(run, code, output):
    """The exception for a run that ended with an exit code other than 0."""
    output.seek(0)
    said = output.read().strip()
    if code == 2:
        return InputError(f"{run.name}: {said.splitlines()[-1]}")
    if code < 0 or code > 128:
        return InputError(f"{run.name} was ended from outside (exit code {code}; if memory ran "
                          "out, give --jobs 1); the same command goes on.")
    return RuntimeError(f"training {run} failed:\n{said}")


def progress(run, config):
    """How much of a run is done, from 0 to 1, by the last line of its log."""
    if (run / "scores.json").exists():
        return 1.0
    try:
        step, epoch = (run / "log.csv").read_text().splitlines()[-1].split(",")[:2]
        return int(step) / config.steps if config.steps else (int(epoch) - 1) / config.epochs
    except (OSError, ValueError, IndexError):
        return 0.0


# Measuring


def measure(fakes, truths, masks, way):
    """The numbers of one direction, as a dict; tensors (N, C, H, W) in [-1, 1], masks (N, 1, H, W)
    or None. Of A_to_B for one: error_A_to_B, animal_, background_, ssim_ and found_ as scores_of
    has them, and

    checkerboard_  energy of the fakes at the Nyquist frequencies, over that of the truth
    spread_        how much the fakes differ from each other, over how much the truth does
    """
    names = {"mae": "error", "mae_animal": "animal", "mae_background": "background",
             "ssim": "ssim", "found": "found"}
    scores = scores_of(fakes, truths, masks)
    numbers = {name: scores[key] for key, name in names.items() if key in scores} | {
        "checkerboard": nyquist_energy(fakes) / max(nyquist_energy(truths), 1e-12),
        "spread": fakes.std(0).mean().item() / max(truths.std(0).mean().item(), 1e-12)}
    return {f"{name}_{way}": value for name, value in numbers.items()}


def nyquist_energy(images):
    """Mean energy per image at the highest frequencies, where a pixel and its neighbour have
    opposite signs: a checkerboard, or stripes of one pixel, along either axis or both."""
    power = torch.fft.fft2(images.double()).abs().square()  # (N, C, H, W)
    height, width = images.shape[-2:]
    row, column = power[..., height // 2, :].sum(-1), power[..., :, width // 2].sum(-1)
    both = power[..., height // 2, width // 2]  # in both sums
    return ((row + column - both) / (height * width) ** 2).mean().item()


@torch.no_grad()
def measure_both(G_AB, G_BA, real_A, real_B, masks, device="cpu"):
    """The numbers of a pair of generators, both directions, with reconstruction_A, the error of
    rec_A against real_A, and reconstruction_B."""
    def apply(G, images):
        return torch.cat([G(x.to(device)).float().cpu() for x in images.split(8)])

    numbers = {}
    for way, G, back, real, truth in (("A_to_B", G_AB, G_BA, real_A, real_B),
                                      ("B_to_A", G_BA, G_AB, real_B, real_A)):
        fake = apply(G, real)
        numbers |= measure(fake, truth, masks, way)
        numbers[f"reconstruction_{way[0]}"] = mean_absolute_error(apply(back, fake), real)
    return numbers


def lazy_rows(root, real_A, real_B, masks):
    """The numbers of the lazy answers, {name: {...}}: what a run has to beat, see evaluate.py."""
    rows = {}
    for way, real, truth in (("A_to_B", real_A, real_B), ("B_to_A", real_B, real_A)):
        for name, answer in lazy_answers(root, way[-1], real.shape[1:]).items():
            fakes = torch.stack([answer(x) for x in real])
            rows.setdefault(name, {}).update(measure(fakes, truth, masks, way))
    return rows


def collapsed(numbers, nothing, way):
    """The criterion, fixed before any run was looked at: the error is no smaller than doing
    nothing's, or the fakes differ from each other less than half as much as the truth does."""
    return numbers[f"error_{way}"] >= nothing[f"error_{way}"] or numbers[f"spread_{way}"] < 0.5


# Tables and pictures


def tables(rows, lazy):
    """Two Markdown tables, A to B and B to A: mean ± standard deviation over the seeds.

    rows  of runs.csv, dicts: setting, seed, and the numbers. lazy  as lazy_rows has them.
    """
    text = []
    for way, arrow in WAYS.items():
        heads = {f"{name}_{way}": name for name in ("error", "animal", "background", "ssim",
                                                    "found", "checkerboard", "spread")}
        heads[f"reconstruction_{way[0]}"] = f"reconstruction of {way[0]}"
        heads = {key: head for key, head in heads.items() if key in rows[0]}
        lines = [[arrow, *heads.values(), "collapsed"]]
        for name, runs in by_setting(rows).items():
            lines.append([name, *(mean_sd([r[key] for r in runs], key) for key in heads),
                          f"{sum(r[f'collapsed_{way}'] for r in runs)} of {len(runs)}"])
        lines += [[f"lazy: {name}", *(mean_sd([row[key]], key) if key in row else ""
                                      for key in heads), ""]
                  for name, row in lazy.items() if f"error_{way}" in row]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, ["-" * width for width in widths])
        text += ["| " + " | ".join(cell.ljust(width) for cell, width in
                                   zip(line, widths, strict=True)) + " |" for line in lines] + [""]
    return "\n".join(text)


def by_setting(rows):
    return {name: [r for r in rows if r["setting"] == name]
            for name in dict.fromkeys(r["setting"] for r in rows)}


def mean_sd(values, key):
    """"21.9 ± 0.3", or the value alone where there is one."""
    digits = 2 if key.startswith(("ssim", "checkerboard", "spread")) else 1
    return f"{mean(values):.{digits}f}" + (
        f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def summary(rows):
    """The rows of table.csv: one a setting, mean and sd of every number."""
    result = []
    for name, runs in by_setting(rows).items():
        row = {"setting": name, "runs": len(runs)}
        for key in list(runs[0])[2:]:
            values = [float(r[key]) for r in runs]
            row |= {key: mean(values), f"{key}_sd": stdev(values) if len(values) > 1 else ""}
        result.append(row)
    return result


def draw_scores(rows, lazy, images, path):
    """A line for each setting, a mark for each run, a bar at their median, the lazy answers dashed:
    error and found of either direction. Errors far beyond doing nothing's are drawn at the edge,
    or they would crowd all others together."""
    settings = by_setting(rows)
    figure, axes = plots.plt.subplots(1, 4, figsize=(11, 1.5 + 0.36 * len(settings)), sharey=True,
                                      layout="constrained", width_ratios=(3, 2, 3, 2))
    for axis, (way, name) in zip(axes, [(w, n) for w in WAYS for n in ("error", "found")],
                                 strict=True):
        key = f"{name}_{way}"
        edge = 1.25 * lazy["nothing"][key] if name == "error" else images
        for y, runs in enumerate(settings.values()):
            values = [min(edge, r[key]) for r in runs]
            axis.plot(values, [y] * len(values), "o" if way == "A_to_B" else "s", alpha=0.7,
                      color=plots.COLOURS[way[-1]], clip_on=False)
            axis.plot([median(values)] * 2, [y - 0.3, y + 0.3], color="black")
        for (answer, numbers), shade in zip(lazy.items(), ("black", "gray", "silver"),
                                            strict=False):
            if key in numbers:
                axis.axvline(numbers[key], color=shade, linestyle="--", label=answer)
        axis.grid(axis="x", alpha=0.3)
        axis.set(title=f"{WAYS[way]}, {name}", xlim=(0, edge),
                 xlabel=f"error; {edge:.0f} and more at the edge" if name == "error" else
                 f"nearest to their own\ntruth, of {images}")
    axes[0].set_yticks(range(len(settings)), settings)
    axes[0].set_ylim(len(settings) - 0.4, -0.6)  # the first on top
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=3,
                  title="lazy answers", fontsize=9)
    plots.finish(figure, path)


@torch.no_grad()
def sample_sheet(generators, real_A, real_B, path, count=3):
    """Rows: the input, each setting's fakes, the truth; on the left A to B, on the right B to A."""
    picks = torch.linspace(0, len(real_A) - 1, min(count, len(real_A))).long()
    real = {"A": real_A[picks], "B": real_B[picks]}
    rows = {"input": [*real["A"], None, *real["B"]]}
    for name, (G_AB, G_BA, device) in generators.items():
        fake_B, fake_A = (G(x.to(device)).float().cpu()
                          for G, x in ((G_AB, real["A"]), (G_BA, real["B"])))
        rows[name] = [*fake_B, None, *fake_A]
    rows["truth"] = [*real["B"], None, *real["A"]]
    heads = ["A → B"] * len(picks) + [""] + ["B → A"] * len(picks)
    plots.show(list(rows.values()), list(rows), path, heads)


# The command


def ablate(out, settings, seeds=3, jobs=None, results=None, **common):
    """Train every (setting, seed) below `out`, measure, and write the results.

    settings  {name: options of Config}; common  options of all of them: data, steps, device
    jobs      runs at a time; None: one for each core, on a GPU one
    results   folder for runs.csv, table.csv, table.md, scores.png and samples.png, which are
              renewed; `out` if None
    Returns 0, or 128 + the signal that stopped it; the same call goes on.
    """
    out, results = Path(out), Path(results or out)
    runs = {}  # folder: (setting, seed, Config)
    for seed in range(seeds):
        for name, options in settings.items():
            shared = {k: v for k, v in common.items() if k != "steps" or not options.get("epochs")}
            config = config_of(name, shared | options | {"seed": seed})
            runs[out / f"{folder_name(name)}-{seed}"] = name, seed, config
    configs = [config for _, _, config in runs.values()]
    if len({(c.size, c.channels) for c in configs}) > 1:
        raise InputError("the settings have images of different sizes or channels, which cannot be "
                         "compared with each other; call ablate once for each.")
    if results.exists() and any(results.iterdir()) and results != out and not (
            results / "runs.csv").exists():
        raise InputError(f"{results} holds other things; choose another --results.")
    config = configs[0]
    if config.data == TOY:
        toy_set()
    pairs = read_pairs(config.data, config)
    if len(pairs) < 2:
        raise InputError(f"{config.data} has 1 pair of test images; at least 2 are needed to see "
                         "whether the fakes differ.")
    _, real_A, real_B, masks = zip(*pairs, strict=True)
    real_A, real_B = torch.stack(real_A), torch.stack(real_B)
    masks = None if masks[0] is None else torch.stack(masks)
    device = pick_device(config.device)
    jobs = jobs or (cores() if device.type == "cpu" else 1)

    stopped = train_all({run: config for run, (_, _, config) in runs.items()}, jobs)
    if stopped:
        return stopped

    lazy = lazy_rows(pairs.root, real_A, real_B, masks)
    rows, first = [], {}
    for run, (name, seed, _) in tqdm(runs.items(), "measuring", leave=False, delay=2):
        G_AB, G_BA, _ = load_both(run, device)
        numbers = measure_both(G_AB, G_BA, real_A, real_B, masks, device)
        rows.append({"setting": name, "seed": seed} | numbers | {
            f"collapsed_{way}": int(collapsed(numbers, lazy["nothing"], way)) for way in WAYS})
        first.setdefault(name, (G_AB, G_BA, device))
    rows.sort(key=lambda row: list(settings).index(row["setting"]))

    results.mkdir(parents=True, exist_ok=True)
    text = tables(rows, lazy)
    write_whole(results / "table.md", text.encode())
    write_csv(results / "runs.csv", rows)
    write_csv(results / "table.csv", summary(rows))
    draw_scores(rows, lazy, len(real_A), results / "scores.png")
    sample_sheet(first, real_A, real_B, results / "samples.png")
    print(text)
    print(f"all numbers, a figure and samples (seed 0) are in {results}")
    return 0
