"""How fast a training step is, against the step as it is usually written.

    python tests/benchmark.py                               this machine, a few minutes
    python tests/benchmark.py --size 256 --device cuda --json gpu.json
    python tests/benchmark.py --quality                     minutes to a fixed quality

Table 1, for each size: the plain step, then ours with what makes it fast added piece by piece, all
in one run and in turn, so that a machine which is busy for a while slows them alike. Medians.
Table 2: what batch, size, width and depth cost; and what saving costs the preset "toy". 64×64 has
the networks of that preset, larger images those of the paper: 6 residual blocks up to 128×128, 9
above. The identity loss is on.

pairs/s   pairs (real_A, real_B) trained on in a second
× plain   that, divided by the plain step's
memory    weights, gradients, moments of Adam, and the most that a step needs beside them
GFLOP/s   floating-point operations of the convolutions, forward and backward
of peak   that, divided by what a large matrix product or convolution reaches, whichever is faster,
          on this machine, in this run, in the same precision
"""

import argparse
import ctypes
import json
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from minicyclegan import (
    CycleGAN,
    Discriminator,
    Generator,
    ImagePool,
    InputError,
    PairedImages,
    UNet,
    UnpairedImages,
    make_model,
)
from minicyclegan.config import PRESETS, Config
from minicyclegan.engine.checkpoint import LAST
from minicyclegan.engine.device import (
    compile_networks,
    for_training,
    out_of_memory,
    pick_device,
    pick_precision,
    seeded,
)
from minicyclegan.lab.evaluate import evaluate
from minicyclegan.train import set_learning_rate, train

ROOT = Path(__file__).parent.parent


def preset(size):
    """Networks for images of this size."""
    if size <= 64:
        config = Config(size=size)
        return dict(generator=UNet, width=config.width, blocks=config.blocks,
                    disc_width=config.disc_width, disc_depth=config.disc_depth)
    return dict(generator=Generator, width=64, blocks=9 if size > 128 else 6, disc_width=64)


def networks(generator, width, blocks, disc_width, disc_depth=3):
    torch.manual_seed(0)
    return {"G_AB": generator(width, blocks), "G_BA": generator(width, blocks),
            "D_A": Discriminator(disc_width, disc_depth),
            "D_B": Discriminator(disc_width, disc_depth)}


class PlainStep(torch.nn.Module):
    """The step in the order in which the authors' implementation takes it: six generator and six
    discriminator calls, fp32, Adam as it comes."""

    def __init__(self, G_AB, G_BA, D_A, D_B):
        super().__init__()
        self.G_AB, self.G_BA, self.D_A, self.D_B = G_AB, G_BA, D_A, D_B
        self.pool_A, self.pool_B = ImagePool(50, 0), ImagePool(50, 1)
        G, D = [*G_AB.parameters(), *G_BA.parameters()], [*D_A.parameters(), *D_B.parameters()]
        self.optimizers = {"G": torch.optim.Adam(G, 2e-4, (0.5, 0.999)),
                           "D": torch.optim.Adam(D, 2e-4, (0.5, 0.999))}

    def step(self, real_A, real_B):
        fake_B = self.G_AB(real_A)
        rec_A = self.G_BA(fake_B)
        fake_A = self.G_BA(real_B)
        rec_B = self.G_AB(fake_A)

        for p in [*self.D_A.parameters(), *self.D_B.parameters()]:
            p.requires_grad = False
        self.optimizers["G"].zero_grad()
        idt_B, idt_A = self.G_AB(real_B), self.G_BA(real_A)
        loss = 5 * (F.l1_loss(idt_B, real_B) + F.l1_loss(idt_A, real_A))
        for scores in (self.D_B(fake_B), self.D_A(fake_A)):
            loss = loss + F.mse_loss(scores, torch.ones_like(scores))
        loss = loss + 10 * (F.l1_loss(rec_A, real_A) + F.l1_loss(rec_B, real_B))
        loss.backward()
        self.optimizers["G"].step()

        for p in [*self.D_A.parameters(), *self.D_B.parameters()]:
            p.requires_grad = True
        self.optimizers["D"].zero_grad()
        for D, real, fake, pool in ((self.D_B, real_B, fake_B, self.pool_B),
                                    (self.D_A, real_A, fake_A, self.pool_A)):
            score_real, score_fake = D(real), D(pool.query(fake))
            loss = (F.mse_loss(score_real, torch.ones_like(score_real))
                    + F.mse_loss(score_fake, torch.zeros_like(score_fake))) / 2
            loss.backward()
        self.optimizers["D"].step()


def our_step(shape, device, precision="fp32", fused_adam=True, compile=False, layout=None):
    model = CycleGAN(**networks(**shape), lambda_identity=0.5, precision=precision).to(device)
    if layout:
        model.to(memory_format=layout)
    if not fused_adam:
        for optimizer in model.optimizers.values():
            optimizer.param_groups[0]["fused"] = False
    if compile:
        compile_networks(model, device)
    return model


class Candidate:
    """One line of a table: a model, its batch, and the times that its steps took."""

    def __init__(self, name, model, size, batch, shape, precision, device):
        self.name, self.model, self.device = name, model.to(device), device
        self.facts = dict(size=size, batch=batch, width=shape["width"], blocks=shape["blocks"],
                          precision=precision)
        generator = torch.Generator().manual_seed(0)
        self.batch = [(torch.rand(batch, 3, size, size, generator=generator) * 2 - 1).to(device)
                      for _ in "AB"]
        self.times, self.steps = [], 1

    def warm_up(self):
        """Until memory is taken and a step lasts as long as it will. False if it does not fit."""
        try:
            seconds = self.measure()
            if seconds < 5 or self.device.type != "cpu":  # a first step on a GPU tells nothing
                seconds = self.measure()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            self.model = None  # let go of what it took
            return False
        self.steps = max(1, int(0.2 / seconds))  # short steps are measured several at a time
        return True

    def take_turn(self):
        if self.times:
            self.times.append(self.measure())
        else:
            memory = Memory(self.device)
            self.times.append(self.measure())
            weights = sum(p.numel() * p.element_size() for p in self.model.parameters())
            self.peak_memory = memory.peak(4 * weights)  # weights, gradients, two moments

    def measure(self):
        synchronize(self.device)
        began = time.perf_counter()
        for _ in range(self.steps):
            self.model.step(*self.batch)
        synchronize(self.device)
        return (time.perf_counter() - began) / self.steps

    def row(self, plain, flops, peaks):
        """As in the JSON file. flops: of one pair; plain: the candidate to compare with."""
        per_second = self.facts["batch"] / statistics.median(self.times)
        ratio = None
        if plain:
            ratio = per_second / (plain.facts["batch"] / statistics.median(plain.times))
        return {"name": self.name, "device": device_name(self.device), **self.facts,
                "pairs_per_second": per_second, "ratio": ratio,
                "peak_memory_mb": self.peak_memory, "flops_per_second": flops * per_second,
                "roofline_fraction": flops * per_second / max(
                    peaks[self.facts["precision"]].values())}


class Memory:
    """The most memory that is taken from here on, beyond what is taken now."""

    def __init__(self, device):
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.before = torch.cuda.memory_allocated(device)
        elif sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)  # what is free goes back, or it would not count
            Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM to VmRSS
            self.before = self.status("VmRSS")

    def peak(self, fixed):
        """In MB, with `fixed` bytes added; None where the system does not tell."""
        if self.device.type == "cuda":
            return (fixed + torch.cuda.max_memory_allocated(self.device) - self.before) / 1e6
        if self.device.type == "cpu" and sys.platform == "linux":
            return (fixed + self.status("VmHWM") - self.before) / 1e6
        return None

    def status(self, key):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def synchronize(device):
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def device_name(device):
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':')[1].strip()}, {torch.get_num_threads()} threads"
    return f"{platform.processor() or device.type}, {torch.get_num_threads()} threads"


def count_flops(size, shape):
    """Floating-point operations of the convolutions in one plain step on one pair. Counted without
    computing anything, on tensors that have a shape and no content."""
    with torch.device("meta"):
        model = PlainStep(**networks(**shape))
        image = torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        model.step(image, image)
    return counter.get_total_flops()


def measure_peaks(device):
    """Operations per second of a large matrix product and of a large convolution, the best of
    several tries: {"fp32": {"matmul": ..., "conv": ...}, "bf16": ...}."""
    n, images, side = (8192, 32, 64) if device.type == "cuda" else (2048, 1, 64)
    peaks = {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.randn(n, n, device=device).to(dtype)
        x = torch.randn(images, 256, side, side, device=device).to(dtype)
        w = torch.randn(256, 256, 3, 3, device=device).to(dtype)
        best = {}
        for name, function, flops in (
                ("matmul", lambda a=a: a @ a, 2 * n**3),
                ("conv", lambda x=x, w=w: F.conv2d(x, w, padding=1),
                 2 * images * side**2 * 256 * 256 * 9)):
            function()
            times = []
            while len(times) < 5 or (sum(times) < 1 and len(times) < 200):
                synchronize(device)
                began = time.perf_counter()
                function()
                synchronize(device)
                times.append(time.perf_counter() - began)
            best[name] = flops / min(times)
        peaks[precision] = best
    return peaks


def take_turns(candidates, seconds, rounds, title):
    """Measure all of them in turn, for so long or so often; at least once. Drops what does not
    fit into memory."""
    ready = []
    for candidate in tqdm(candidates, f"{title}, warming up", leave=False):
        if candidate.warm_up():
            ready.append(candidate)
        else:
            print(f"{candidate.name}: does not fit into memory")
    began = time.monotonic()
    for done in tqdm(range(rounds), f"{title}, measuring", leave=False):
        if done and time.monotonic() - began > seconds:
            break
        for candidate in ready:
            candidate.take_turn()
    return ready


def compare(size, device, low, compiles, batches, seconds):
    """Table 1 for one size. Returns the candidates, the plain step first."""
    shape = preset(size)

    def ours(name, batch=1, precision=low, **settings):
        return Candidate(name, our_step(shape, device, precision, **settings), size, batch, shape,
                         precision, device)

    candidates = [
        Candidate("plain step", PlainStep(**networks(**shape)), size, 1, shape, "fp32", device),
        ours("shared calls", precision="fp32", fused_adam=False),
        ours("+ fused Adam", precision="fp32")]
    if low == "bf16":
        candidates.append(ours("+ bf16"))
    candidates += [ours(f"+ batch {n}", n) for n in batches]
    if device.type == "cuda" or size <= 64:  # seconds a step on a CPU: known to be slower there
        candidates.append(ours("with channels_last", layout=torch.channels_last))
    if compiles:
        candidates += [ours("with compile", compile=True)]
        candidates += [ours(f"with compile, batch {n}", n, compile=True) for n in batches]
    return take_turns(candidates, seconds, 9, f"{size}×{size}")


def costs(device, low, seconds):
    """Table 2: one thing changed at a time. Returns [(candidate, flops), ...]."""
    size = 256 if device.type == "cuda" else 64
    base = dict(size=size, batch=2, **preset(size))
    changes = [{}] + [{"batch": n} for n in (1, 4, 8)] + [{"size": n} for n in (size * 2,)]
    changes += [{"width": n} for n in (base["width"] // 2, base["width"] * 2)]
    changes += [{"blocks": n} for n in (0, 6) if n != base["blocks"]]
    made = []
    for change in changes:
        shape = base | change
        size, batch = shape.pop("size"), shape.pop("batch")
        name = ", ".join(f"{k} {v}" for k, v in change.items()) or "as the preset, batch 2"
        candidate = Candidate(name, our_step(shape, device, low), size, batch, shape, low, device)
        made.append((candidate, count_flops(size, shape)))
    ready = take_turns([candidate for candidate, _ in made], seconds, 5, "costs")
    return [(candidate, flops) for candidate, flops in made if candidate in ready]


def show(rows, title):
    print(f"\n{title}\n\n"
          "| step | batch | precision | pairs/s | × plain | memory | GFLOP/s | of peak |\n"
          "|---|---|---|---|---|---|---|---|")
    for row in rows:
        ratio = f"{row['ratio']:.2f}" if row["ratio"] else ""
        memory = f"{row['peak_memory_mb']:.0f} MB" if row["peak_memory_mb"] is not None else ""
        print(f"| {row['name']} | {row['batch']} | {row['precision']} "
              f"| {row['pairs_per_second']:.3g} | {ratio} | {memory} "
              f"| {row['flops_per_second'] / 1e9:.0f} | {row['roofline_fraction']:.0%} |")


def steps_per_second(args):
    device = pick_device(args.device)
    low = pick_precision(args.precision, device)
    compiles = args.compile or (args.compile is None and device.type == "cuda")
    result = {"machine": machine(device), "peaks": measure_peaks(device), "rows": []}
    print(", ".join(f"{k} {v}" for k, v in result["machine"].items()))
    for precision, peaks in result["peaks"].items():
        print(f"{precision} peak: " + ", ".join(f"{k} {v / 1e9:.0f} GFLOP/s"
                                                for k, v in peaks.items()))
    for size in args.size:
        batches = args.batch or (
            (2, 4, 8, 16, 32) if device.type == "cuda" else (2, 4) if size <= 64 else ())
        candidates = compare(size, device, low, compiles, batches, args.seconds)
        flops = count_flops(size, preset(size))
        rows = [c.row(candidates[0], flops, result["peaks"]) for c in candidates]
        show(rows, "{0}×{0}, width {1}, {2} blocks".format(
            size, rows[0]["width"], rows[0]["blocks"]))
        result["rows"] += rows
        write(result, args.json)
        del candidates
    if not args.no_costs:
        rows = [c.row(None, flops, result["peaks"])
                for c, flops in costs(device, low, args.seconds)]
        show(rows, "what each thing costs")
        result["rows"] += rows
        result["checkpoint"] = cost = checkpoints(device)
        print(f"\na checkpoint of the preset \"toy\": {cost['bytes'] / 1e6:.1f} MB in "
              f"{cost['seconds']:.3f} s, {cost['share']:.2%} of the time between two")
        write(result, args.json)


def checkpoints(device):
    """Seconds that saving the toy preset takes, its pools full, and the share of training time."""
    data = ROOT / "data" / "toy"
    config = Config(data=str(data), device=str(device), save_seconds=0.0, sample_every=10**9)
    times = []

    def timing(config, precision):  # the end of each save is the start of the next step
        model = make_model(config, precision)
        step = model.step

        def stepping(*batch):
            times.append(-time.perf_counter())
            losses = step(*batch)
            synchronize(device)
            times[-1] += time.perf_counter()
            return losses
        model.step = stepping
        return model

    with tempfile.TemporaryDirectory() as out:
        steps, seconds = config.pool_size // config.batch + 10, {}
        for save_seconds in (1e9, 0.0):
            config.save_seconds = save_seconds
            began = time.perf_counter()
            times.clear()
            train(config, Path(out) / str(save_seconds), stop_after=steps, make_model=timing)
            seconds[save_seconds] = time.perf_counter() - began - sum(times)
        size = (Path(out) / "0.0" / LAST).stat().st_size
    cost = (seconds[0.0] - seconds[1e9]) / steps
    return {"seconds": cost, "bytes": size, "share": cost / Config().save_seconds}


GOAL = {"A_to_B": 24.0, "B_to_A": 10.0}  # mean absolute error to the truth, of 255


def time_to_quality(args):
    """The default run, and the authors' way: minutes until both errors are under the goal."""
    device = pick_device(args.device)
    result = {"machine": machine(device), "goal": GOAL, "rows": []}
    print("| what | precision | seed | minutes | pairs | A → B | B → A |\n"
          "|---|---|---|---|---|---|---|")
    precision = pick_precision(args.precision, device)
    for seed in range(args.seeds):
        ours = Config(data=str(ROOT / "data" / "toy"), seed=seed)
        authors = Config(data=ours.data, seed=seed, generator="resnet", width=64, blocks=6,
                         upsample="transpose", disc_width=64, batch=1, lr=2e-4, steps=10**6)
        limit = None
        for name, config, kind in (("default run", ours, precision), ("authors' way", authors,
                                                                     "fp32")):
            row = train_to_quality(config, kind, device, limit)
            limit = limit or 60 * args.patience * row["minutes"]
            result["rows"].append({"name": name, "precision": kind, "seed": seed, **row})
            reached = f"{row['minutes']:.2f}" + ("" if row["reached"] else ", not reached")
            print(f"| {name} | {kind} | {seed} | {reached} | {row['pairs']} "
                  f"| {row['A_to_B']:.1f} | {row['B_to_A']:.1f} |", flush=True)
            write(result, args.json)


def train_to_quality(config, precision, device, limit=None, every=25):
    """Train a Config until both errors are under the goal, its schedule is over, or it has taken
    `limit` seconds (the authors' way: its learning rate then stays as it is, which is what theirs
    does in the first half). Looking does not count as time."""
    data = UnpairedImages(config.data, "train", config.size, config.zoom, config.flip,
                          seed=config.seed)
    pairs = PairedImages(config.data, config.size)
    with seeded(config.seed):
        if limit is None:
            model = make_model(config, precision).to(device)
        else:
            model = PlainStep(**networks(Generator, config.width, config.blocks,
                                         config.disc_width)).to(device)
    seconds, began = 0.0, time.perf_counter()
    batches = data.batches(range(config.steps), config.batch, device)
    for step, batch in enumerate(tqdm(batches, total=config.steps, leave=False), 1):
        if limit is None:
            set_learning_rate(model, SimpleNamespace(config=config, step=step - 1))
        model.step(*batch)
        if step % every == 0 or step == config.steps:
            synchronize(device)
            seconds += time.perf_counter() - began
            scores, _ = evaluate(model.G_AB, model.G_BA, pairs, device)
            errors = {way: scores[way]["ours"]["mae"] for way in GOAL}
            reached = all(errors[way] < GOAL[way] for way in GOAL)
            if reached or (limit and seconds > limit):
                break
            began = time.perf_counter()
    return {"minutes": seconds / 60, "pairs": step * config.batch, "reached": reached, **errors}


def machine(device):
    return {"device": device_name(device), "torch": torch.__version__,
            "python": platform.python_version(), "system": platform.system()}


def write(result, file):
    if file:
        Path(file).write_text(json.dumps(result, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--size", type=int, nargs="+", default=[64, 256], metavar="N",
                        help="sides of the images (default: 64 256)")
    parser.add_argument("--batch", type=int, nargs="+", default=None, metavar="N",
                        help="batches to try beside 1 (default: by device and size)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps, ...")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto",
                        help="of the fast step (default: what the device is fast at)")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None,
                        help="try torch.compile too (default: on CUDA)")
    parser.add_argument("--seconds", type=float, default=45, metavar="S",
                        help="to measure each table for, warming up aside (default: 45)")
    parser.add_argument("--no-costs", action="store_true", help="leave the second table out")
    parser.add_argument("--quality", action="store_true",
                        help="instead: train the toy preset until it is good enough, and the "
                        "authors' way beside it")
    parser.add_argument("--patience", type=float, default=10, metavar="N",
                        help="of --quality: the authors' way may take N times as long (10)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of --quality")
    parser.add_argument("--json", metavar="FILE", help="write all numbers there")
    args = parser.parse_args()
    try:
        for size in args.size:
            Config(**PRESETS["paper"] | {"size": size})  # says what is wrong with a size
        with for_training():
            time_to_quality(args) if args.quality else steps_per_second(args)
    except InputError as error:
        parser.exit(2, f"benchmark.py: {error}\n")


if __name__ == "__main__":
    main()
