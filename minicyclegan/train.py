"""Training, from a folder of images to a run folder.

    minicyclegan train                                      the toy set, minutes on a laptop
    minicyclegan train --preset paper --data horse2zebra    the paper's recipe, on a GPU
    minicyclegan train --resume runs/toy                    go on where a run stopped
    torchrun --nproc_per_node=8 -m minicyclegan train ...   on eight GPUs, see parallel.py

A run folder holds config.json, log.csv and losses.png (the losses), samples/ (the same test
images again and again), checkpoint.pt and the one before it, and at the end scores.json and
scores.png where the true counterparts of the test images are known, and report.html, which shows
it all.

Ctrl-C and SIGTERM finish the step, save and leave; --resume goes on from there. Whatever stops a
run, it ends with the same weights as one that nothing stopped, to the last bit on a CPU.
"""

import csv
import json
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tqdm import tqdm

from .config import FREE, TOY, as_config, dashed, stored_config
from .cyclegan import CycleGAN, OneWayGAN
from .data import UnpairedImages, samples
from .discriminator import Discriminator
from .engine import parallel
from .engine.checkpoint import (
    BEFORE,
    LAST,
    load_checkpoint,
    load_network,
    new_generator,
    pick_device,
    save_checkpoint,
    write_whole,
)
from .engine.errors import InputError, shown
from .engine.images import check_images, list_tests, read_stamps, write_stamps
from .lab import plots
from .lab.evaluate import symptom, write_scores
from .lab.report import write_report
from .lab.toy import draw_dataset


def learning_rate_factor(k, total, flat):
    """What the learning rate is multiplied by in the k-th of `total` epochs (or steps), k from 1.

    1 for the first `flat` of them, then linearly down, so that it would be 0 in the one after
    the last: with 200 and 100 it is 1 at k = 100, 100/101 at 101, 1/101 at 200 (section 7.1).
    """
    return 1 - max(0, k - flat) / (total - flat + 1)


def new_model(config, precision="fp32"):
    """The networks that a Config describes, with fresh weights from its seed."""
    torch.manual_seed(config.seed)
    networks = {"G_AB": new_generator(asdict(config)), "G_BA": new_generator(asdict(config))}
    for name in ("D_A", "D_B") if config.model == "cyclegan" else ("D_B",):
        networks[name] = Discriminator(config.disc_width, config.disc_depth, config.channels)
    settings = {name: getattr(config, name) for name in (
        "adversarial", "reconstruction", "lambda_adversarial", "lambda_cycle_A", "pool_size",
        "lr", "seed")}
    settings |= dict(betas=(config.beta1, config.beta2), precision=precision)
    if config.model == "one_way":
        return OneWayGAN(**networks, **settings)
    return CycleGAN(**networks, **settings, lambda_cycle_B=config.lambda_cycle_B,
                    lambda_identity=config.lambda_identity)


def pick_precision(name, device):
    """"auto" is bf16 where the hardware computes in it: CUDA from Ampere on, CPUs with AVX512-BF16
    or AMX. Elsewhere it is emulated, and slower than fp32; InputError where it does not exist."""
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device)[0] >= 8
    else:
        fast = device.type == "cpu" and any(
            getattr(torch.cpu, f"_is_{kind}_supported", bool)()
            for kind in ("avx512_bf16", "amx_tile"))
    if name == "auto":
        return "bf16" if fast else "fp32"
    if name == "bf16" and not fast:
        try:
            image = torch.ones(1, 1, 4, 4, dtype=torch.bfloat16, device=device)
            torch.nn.functional.conv2d(image, image)
        except RuntimeError as error:
            raise InputError(f"--precision bf16 does not exist on {device}; use fp32.") from error
        say(f"bf16 is emulated on {device} and slow; --precision fp32 would be faster")
    return name


def can_compile(device):
    """Whether torch.compile works here: it needs a C++ compiler, on GPUs Triton. Says so if not."""
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(1, device=device))
    except Exception as error:  # of torch, of the compiler, of the operating system
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        say(f"--compile: torch.compile does not work here ({reason}); going on without")
        return False
    return True


def limit_threads():
    """No more threads than the cores that a Linux container may use: it often shows more."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        allowed = max(1, int(quota) // int(period))
    except (OSError, ValueError):  # not in a container, or no limit ("max")
        return
    torch.set_num_threads(min(torch.get_num_threads(), allowed))


def plain(*tensors):
    """Whether tensors are of the kind that training saves."""
    return all(t.dtype == torch.float32 and t.layout == torch.strided for t in tensors)


def out_of_memory(error):
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or (
        "out of memory" in str(error) or "can't allocate memory" in str(error))


def say(text):
    if parallel.rank() == 0:
        print(text)


def train(config, out, stop_after=0):
    """Train a new run into the folder `out`. Returns 0, or 128 + the signal that stopped it.

    stop_after  save and leave after so many steps, to be resumed later; 0: go on to the end
    Raises InputError for options or data that cannot be used, and where the run goes wrong or
    can no longer write; the last checkpoint is whole then.
    """
    out = Path(out)
    if parallel.rank() == 0 and out.exists() and not (out.is_dir() and all(
            file.name.startswith(".") for file in out.iterdir())):  # killed before it began
        raise InputError(f"{out} exists already; choose another --out, or go on with "
                         f"--resume {out}.")
    return Run(config, out).go(stop_after)


def resume(out, stop_after=0, **changes):
    """Go on with the run in `out` where it stopped. `changes` may name options that do not change
    what is learned, those in FREE. The number of processes may be another; the batch of all
    together stays.

    Raises InputError where there is no run, another process is at it, or an option has changed.
    """
    out = Path(out)
    checkpoint = None
    if any((out / name).exists() for name in (LAST, BEFORE)) or not (out / "config.json").exists():
        checkpoint = load_checkpoint(out, aside=True)
        config = as_config(checkpoint["config"], out)
        batch, precision = checkpoint.get("batch"), checkpoint.get("precision")
        if type(batch) is not int or batch < 1 or precision not in ("fp32", "bf16"):
            raise InputError(f"the checkpoint in {out} is not one that training can go on from; "
                             "start a new run.")
    else:  # stopped before its first checkpoint
        config = stored_config(out)
    wanted = changes
    if (out / "config.json").exists():  # somebody may have edited it
        wanted = asdict(stored_config(out)) | changes
    different = [f"--{dashed(name)} {value} (the run has {getattr(config, name)})"
                 for name, value in wanted.items()
                 if name not in FREE and value != getattr(config, name)]
    if different:
        raise InputError(f"{out} keeps its options, and cannot go on with {', '.join(different)}; "
                         "leave them as they were, or start a new run.")
    return Run(replace(config, **changes), out, checkpoint).go(stop_after)


def lock(out):
    """Hold a run folder until the file returned is closed, or this process ends, however it does.
    InputError where another process holds it."""
    file = open(out / ".lock", "a")
    try:
        if sys.platform == "win32":
            import msvcrt
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        file.close()
        raise InputError(f"another process is training in {out}; wait for it, or stop it."
                         ) from error
    except OSError as error:
        say(f"{out} cannot be locked on this file system ({error.strerror}); see to it that no "
            "other process trains there")
    return file


class Run:
    """A run in progress: data, model, and what has been written so far."""

    def __init__(self, config, out, checkpoint=None):
        self.config, self.out, self.step = config, out, 0
        self.writes = parallel.rank() == 0  # the other processes only compute
        limit_threads()
        torch.backends.cudnn.benchmark = True  # batches of one shape: try what is fastest for it
        self.device = pick_device(parallel.local_device(config.device))
        # The precision a run began with stays with it, wherever it goes on; so does its batch.
        self.precision = pick_precision(
            checkpoint["precision"] if checkpoint else config.precision, self.device)
        self.batch = checkpoint["batch"] if checkpoint else config.batch * parallel.processes()
        if self.batch % parallel.processes():
            raise InputError(f"{out} takes {self.batch} pairs a step, which {parallel.processes()} "
                             "processes cannot share equally; start another number of them.")
        if config.data == TOY and self.writes and not checkpoint and not Path(TOY).exists():
            print(f"drawing the toy set into {TOY}")
            draw_dataset(TOY)
        parallel.from_first(None)  # wait for it
        self.read_images()
        self.steps_per_epoch = len(self.data) // self.batch
        if not self.steps_per_epoch:
            raise InputError(f"--batch {self.batch} is more than the {len(self.data)} images in "
                             f"{config.data}; make it smaller.")
        self.steps = config.steps or config.epochs * self.steps_per_epoch
        self.batches = self.data.batches(self.places(), self.device, config.workers)
        self.model = new_model(config, self.precision).to(self.device)
        self.networks = dict(self.model.named_children())
        self.sums = {}  # of the losses since the last line of the log
        self.wrong = torch.zeros((), dtype=torch.long, device=self.device)  # see check_losses
        self.saved, self.warned = None, False  # the step of the last checkpoint
        if checkpoint:
            try:
                self.load(checkpoint)
            except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"the checkpoint in {out} lacks something or does not fit "
                                 f"together ({error}); start a new run.") from error
        if config.compile and can_compile(self.device):
            self.model.compile()
        parallel.share(self.model)
        if self.writes:
            out.mkdir(parents=True, exist_ok=True)
            self.lock = lock(out)
            if not checkpoint:
                text = json.dumps(asdict(config), indent=2) + "\n"
                write_whole(out / "config.json", text.encode())
                self.save()
            write_stamps(out, self.used, self.bad)
            (out / "samples").mkdir(exist_ok=True)
            self.cut_log()

    def places(self):
        """Where this process finds its share of each step's batch: (epoch, indices)."""
        share = self.batch // parallel.processes()
        for step in range(self.step, self.steps):
            epoch, i = divmod(step, self.steps_per_epoch)
            first = i * self.batch + parallel.rank() * share
            yield epoch, range(first, first + share)

    def read_images(self):
        """Look at every image of the run before anything else: what cannot be read is refused, or
        with --skip-bad left out and listed. Sets data, pairs and samples."""
        config, tests, bad = self.config, list_tests(self.config.data), {}
        seen = read_stamps(self.out)
        check_images(tests, bad, seen, config.size)
        self.data = UnpairedImages(
            config.data, "train", config.size, config.zoom, config.flip, config.channels,
            config.seed, config.skip_bad, bad, seen).to(self.device)
        self.pairs, self.samples = samples(config.data, config.size, config.channels, bad)
        self.fingerprint = self.data.fingerprint()
        self.used, self.bad = [*tests, *self.data.files["A"], *self.data.files["B"]], bad

    def go(self, stop_after=0):
        """Train to the end, for `stop_after` steps, or until a signal; returns the exit code."""
        batch = f"{self.batch} pairs a step"
        if parallel.processes() > 1:
            batch += f" from {parallel.processes()} processes"
        say(f"{self.out}: {self.steps} steps on {self.device.type} in {self.precision}, {batch}")
        began = saved = time.monotonic()
        last = min(self.steps, self.step + stop_after) if stop_after else self.steps
        signals = []  # Ctrl-C and SIGTERM are noted, and wait for the step to end
        before = {number: signal.signal(number, lambda number, frame: signals.append(number))
                  for number in (signal.SIGINT, signal.SIGTERM)}
        stop = 0
        try:
            with tqdm(total=self.steps, initial=self.step, unit="step", desc=self.out.name,
                      dynamic_ncols=True, disable=not self.writes) as bar:
                while self.step < last and not stop:
                    self.one_step(bar)
                    bar.update()
                    # all processes leave after the same step, or one would wait for the others
                    stop = parallel.largest(max(signals, default=0))
                    due = self.config.save_steps and self.step % self.config.save_steps == 0
                    if self.writes and (
                            due or time.monotonic() - saved > self.config.save_seconds):
                        self.save()
                        saved = time.monotonic()
            if self.writes:
                self.save()
        except OSError as error:
            raise InputError(
                f"{error.filename or self.out} could not be read or written "
                f"({error.strerror or error}); {self.out / LAST} is whole: put this right, then "
                f"go on with --resume {self.out}.") from error
        except (RuntimeError, MemoryError) as error:
            if out_of_memory(error):
                raise InputError(
                    f"--batch {self.config.batch} at --size {self.config.size} does not fit into "
                    f"the memory of {self.device.type}; make it, --width or --size smaller."
                ) from error
            if parallel.lost_the_others(error):
                raise InputError(f"process {parallel.rank()} lost the others, one of them died; "
                                 f"start all again with --resume {self.out}.") from error
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self.writes:
                self.lock.close()
        parallel.stop(self.model)  # what is left to do, process 0 does alone
        if self.writes and (stop or self.step < self.steps):
            print(f"stopped after step {self.step} of {self.steps} and saved; go on with:\n"
                  f"  minicyclegan train --resume {self.out}", file=sys.stderr)
        elif self.writes:
            self.finish(time.monotonic() - began)
        return 128 + stop if stop else 0

    def one_step(self, bar):
        config, epoch = self.config, self.step // self.steps_per_epoch
        real_A, real_B = next(self.batches)
        lr = config.lr * (
            learning_rate_factor(self.step + 1, self.steps, round(config.flat * self.steps))
            if config.steps else
            learning_rate_factor(epoch + 1, config.epochs, round(config.flat * config.epochs)))
        for optimizer in self.model.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = lr
        losses = self.model.step(real_A, real_B)
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss
        self.step += 1
        finite = torch.stack(list(losses.values())).isfinite().all()
        self.wrong = torch.where((self.wrong == 0) & ~finite, self.step, self.wrong)
        due = self.step % config.log_every == 0 or self.step == self.steps
        if due or self.device.type == "cpu":  # a GPU would have to be waited for
            self.check_losses()
        if due:
            count = (self.step - 1) % config.log_every + 1
            names = sorted(self.sums)
            means = parallel.mean(torch.stack([self.sums[n] for n in names]) / count).tolist()
            self.sums = {}
            means = dict(zip(names, means, strict=True))
            if self.writes:
                self.log({"step": self.step, "epoch": epoch + 1, "lr": lr} | means)
            bar.set_postfix_str(" ".join(f"{k[:3]}{k[-2:]} {v:.2f}" for k, v in means.items()))
        if self.writes and (self.step % config.sample_every == 0 or self.step == self.steps):
            self.draw_samples()

    def check_losses(self):
        """Stop a run whose losses are no longer numbers; `wrong` has the step where that began."""
        if self.wrong:
            names = [name for name, total in self.sums.items() if not total.isfinite()]
            self.went_wrong(f"{', '.join(names)} is not finite at step {int(self.wrong)}")

    def check_weights(self):
        """The same for the weights, before they are saved: a loss tells only a step later."""
        for name, network in self.networks.items():
            if not all(p.isfinite().all() for p in network.parameters()):
                self.went_wrong(f"a weight of {name} is not finite at step {self.step}")

    def went_wrong(self, what):
        precision = ", or with --precision fp32" if self.precision == "bf16" else ""
        raise InputError(f"{self.out}: {what}, so training stopped there; {LAST} is of a step "
                         f"before. Start a new run with a smaller --lr{precision}.")

    def log(self, row):
        with open(self.out / "log.csv", "a", newline="") as file:
            writer = csv.DictWriter(file, row, lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})

    def cut_log(self):
        """Take lines back that were written after the checkpoint: they will be written again."""
        log = self.out / "log.csv"
        if log.exists():
            head, *lines = log.read_text().splitlines(keepends=True) or [""]
            kept = [line for line in lines if line.endswith("\n")
                    and int(line.split(",")[0]) <= self.step]
            write_whole(log, (head + "".join(kept) if kept else "").encode())

    @torch.no_grad()
    def draw_samples(self):
        """samples/step_N.png: real, fake, reconstruction and, where known, truth; both ways."""
        G_AB, G_BA = self.model.G_AB, self.model.G_BA
        real_A, real_B = (images.to(self.device) for images in self.samples)
        fake_B, fake_A = G_AB(real_A), G_BA(real_B)
        rows = {"real_A": real_A, "fake_B": fake_B, "rec_A": G_BA(fake_B)}
        rows |= {"true_B": real_B} if self.pairs else {}
        rows |= {"real_B": real_B, "fake_A": fake_A, "rec_B": G_AB(fake_A)}
        rows |= {"true_A": real_A} if self.pairs else {}
        for real, fake in ((real_A, fake_B), (real_B, fake_A)):
            if not self.warned and (warning := symptom(real, fake)):
                tqdm.write(f"step {self.step}: {warning}", file=sys.stderr)
                self.warned = True
        path = self.out / "samples" / f"step_{self.step:06d}.png"
        plots.show([list(images.cpu()) for images in rows.values()], list(rows), path)
        plots.loss_curves(self.out / "log.csv", self.out / "losses.png")

    def save(self):
        if self.saved == self.step:
            return
        self.check_losses()
        self.check_weights()
        if (self.out / "log.csv").exists():
            with open(self.out / "log.csv", "ab") as file:
                os.fsync(file.fileno())  # the lines up to here are not written again
        save_checkpoint(self.out / LAST, {
            "config": asdict(self.config), "precision": self.precision, "batch": self.batch,
            "step": self.step, "data": self.fingerprint,
            "networks": {k: n.state_dict() for k, n in self.networks.items()},
            "optimizers": {k: o.state_dict() for k, o in self.model.optimizers.items()},
            "pools": {k: p.state_dict() for k, p in self.model.pools.items()},
            "sums": self.sums,
        }, before=self.out / BEFORE)
        self.saved = self.step

    def load(self, checkpoint):
        for part in ("networks", "optimizers", "pools"):
            if not all(isinstance(d, dict) for d in (checkpoint[part], *checkpoint[part].values())):
                raise TypeError(f"{part} of an unknown kind")
        then, now = checkpoint["data"], self.fingerprint
        for d in "AB":
            if then[d] != now[d]:
                raise InputError(f"{self.config.data}/train{d} holds other images than when the "
                                 f"run in {self.out} began ({now[d]}; then {shown(then[d])}); put "
                                 "them back as they were, or start a new run.")
        self.step = self.saved = checkpoint["step"]
        if type(self.step) is not int or not 0 <= self.step <= self.steps:
            raise ValueError(f"step {self.step} of {self.steps}")
        for name, network in self.networks.items():
            load_network(network, checkpoint, name)
        for name, optimizer in self.model.optimizers.items():
            state = checkpoint["optimizers"][name]["state"]
            if not all(isinstance(m, dict) and plain(*m.values()) for m in state.values()):
                raise ValueError(f"moments of another kind in optimizer {name}")
            optimizer.load_state_dict({  # the moments; learning rate and the like are in config
                "state": state, "param_groups": optimizer.state_dict()["param_groups"]})
            for weight, moments in optimizer.state.items():
                if moments["step"].shape or not (
                        weight.shape == moments["exp_avg"].shape == moments["exp_avg_sq"].shape):
                    raise ValueError(f"moments of another shape in optimizer {name}")
        shape = (self.config.channels, self.config.size, self.config.size)
        for name, pool in self.model.pools.items():
            images = checkpoint["pools"][name]["images"]
            if images is not None and (images.shape[1:] != shape or len(images) > pool.size
                                       or not plain(images)):
                raise ValueError(f"images of another size in pool {name}")
            pool.load_state_dict(checkpoint["pools"][name], self.device)
        self.sums = {k: v.to(self.device) for k, v in checkpoint["sums"].items()}
        for name, total in self.sums.items():
            if not name.isidentifier() or total.shape or not plain(total):
                raise ValueError(f"no sum of losses: {name}")

    def finish(self, seconds):
        print(f"{self.out}: {self.steps} steps; {seconds / 60:.1f} minutes on {self.device.type} "
              f"in {self.precision}")
        if self.pairs:
            print(write_scores(self.model.G_AB, self.model.G_BA, self.pairs, self.device,
                               self.out / "scores.json", self.out / "scores.png"))
        else:
            print("no scores: no pairs of test images with the same name in testA and testB; "
                  f"minicyclegan evaluate {self.out} --kid gives scores without them")
        inputs = next(p for p in (Path(self.config.data) / "testA",
                                  Path(self.config.data) / "trainA") if p.is_dir())
        print(f"look at {write_report(self.out)}; then translate images of your own:\n"
              f"  minicyclegan translate {self.out} --to B {inputs} --out {self.out / 'fake_B'}")
