"""A run folder: one process holds it, logs, draws and saves into it, and can go on from it.

It holds config.json, log.csv, samples/, losses.png, checkpoint.pt and the one before it, kept/ with
the generators of every --keep-every steps, and skipped.csv where images were left out.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from . import parallel
from .checkpoint import (
    BEFORE,
    LAST,
    fill,
    load_checkpoint,
    save_checkpoint,
    write_csv,
    write_json,
    write_whole,
)
from .device import out_of_memory, uncompiled
from .errors import InputError, command, shown
from .images import left_alone, say_remarks
from .pretrained import generators_of


def need_new(out):
    """InputError where `out` holds something: a run that was killed before it began does not."""
    if parallel.rank() == 0 and out.exists() and not (out.is_dir() and all(
            file.name.startswith(".") for file in out.iterdir())):
        raise InputError(f"{out} exists already; choose another --out, or go on with "
                         f"{command('train', '--resume', out)}")


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
        parallel.say(f"{out} cannot be locked on this file system ({error.strerror}); see to it "
                     "that no other process trains there")
    return file


def stored(out):
    """What a run folder has stored: its options as a dict, config.json's beside them (somebody may
    have edited it), and the content of its checkpoint, None where it stopped before its first."""
    if out.is_file():
        raise InputError(f"{out} is a file, and training goes on in a run's folder; name that, or "
                         f"start a new run from the file: {command('train', '--init', out)}")
    file, checkpoint, written = out / "config.json", None, None
    if file.exists():
        try:
            written = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{file} is damaged ({error}); remove it, the checkpoint has the "
                             "options too.") from error
    if written is None or any((out / name).exists() for name in (LAST, BEFORE)):
        checkpoint = load_checkpoint(out, mend=True)
        if not {"precision", "batch"} <= checkpoint.keys():
            raise InputError(f"the checkpoint in {out} holds networks only, as an export does; "
                             f"start a new run from them: {command('train', '--init', out)}")
    options = checkpoint["config"] if checkpoint else written
    return options, options if written is None else written, checkpoint


class Run:
    """A run folder in use. Leave it by `with`: then the folder is free again, signals do what they
    did before, and what went wrong with disk or memory is one clear sentence."""

    def __init__(self, out):
        self.out, self.writes = Path(out), parallel.rank() == 0  # the others only compute
        self.held, self.bar, self.handlers, self.asked = None, None, {}, 0
        self.step, self.saved, self.warned, self.bad = 0, None, False, {}

    def hold(self):
        """Lock the folder, if it is a run's: in another one nothing is left behind."""
        is_run = any((self.out / name).exists() for name in ("config.json", LAST, BEFORE))
        if self.writes and not self.held and is_run:
            self.held = lock(self.out)

    def begin(self, config, model, data, tests, device, precision, batch, checkpoint=None):
        """Load the checkpoint, if there is one; then make the folder ready. From here on Ctrl-C
        and SIGTERM wait for the step to end; the second time they do not."""
        self.config, self.model, self.tests, self.device = config, model, tests, device
        self.precision, self.batch, self.fingerprint = precision, batch, data.fingerprint()
        self.networks = dict(model.named_children())
        self.names, self.sums = [], torch.zeros((), device=device)  # of the losses
        self.steps_per_epoch = len(data) // batch
        self.steps = config.steps or config.epochs * self.steps_per_epoch
        if checkpoint:
            try:
                self.load(checkpoint)
            except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"the checkpoint in {self.out} lacks something or does not fit "
                                 f"together ({error}); start a new run.") from error
        if self.writes:
            self.out.mkdir(parents=True, exist_ok=True)
            self.held = self.held or lock(self.out)
            self.cut_log()
            (self.out / "samples").mkdir(exist_ok=True)
            write_json(self.out / "config.json", asdict(config))
            if self.bad:
                write_csv(self.out / "skipped.csv", [
                    {"file": file, "reason": self.bad[file]} for file in sorted(self.bad, key=str)])
            self.save()
        if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
            self.handlers = {number: signal.signal(number, self.ask)
                             for number in (signal.SIGINT, signal.SIGTERM)}
        together = f" from {parallel.processes()} processes" if parallel.processes() > 1 else ""
        parallel.say(f"{self.out}: {self.steps} steps on {device.type} in {precision}, {batch} "
                     f"pair{'s' * (batch > 1)} a step{together}")
        self.began = self.last_save = time.monotonic()
        self.bar = tqdm(total=self.steps, initial=self.step, unit="step", desc=self.out.name,
                        dynamic_ncols=True, disable=not self.writes)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if self.bar is not None:
            self.bar.close()
        self.leave_signals()
        if self.held:
            self.held.close()
        if self.bar is None:  # it never began
            return
        if isinstance(error, OSError):
            raise InputError(
                f"{error.filename or self.out} could not be read or written "
                f"({error.strerror or error}); {self.out / LAST} is whole: put this right, then "
                f"go on with {command('train', '--resume', self.out)}") from error
        if isinstance(error, (RuntimeError, MemoryError)) and out_of_memory(error):
            raise InputError(
                f"--batch {self.config.batch} at --size {self.config.size} does not fit into the "
                f"memory of {self.device.type}; make it, --width or --size smaller.") from error
        if isinstance(error, RuntimeError) and parallel.lost_the_others(error):
            raise InputError(f"process {parallel.rank()} lost the others, one of them died; start "
                             f"all again with --resume {self.out}.") from error

    def say_images(self, files, pairs, bad, left, remarks):
        """What the run has to train and to test with, and what was left alone and why."""
        self.bad = bad
        if not self.writes:
            return
        counts = [f"{len(files[d])} images of {d}" for d in "AB"]
        if pairs:
            counts.append(f"{len(pairs)} pairs to test, by name (--no-pairs if they are none)")
        if bad:
            counts.append(f"{len(bad)} that cannot be read left out, see skipped.csv in the run")
        if left:
            counts.append(left_alone(left))
        print(f"{files['A'][0].parent.parent}: {'; '.join(counts)}")
        say_remarks(remarks)

    def ask(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = number

    def leave_signals(self):
        """From here on Ctrl-C ends at once, as it did before the run: all is saved."""
        while self.handlers:
            signal.signal(*self.handlers.popitem())

    # What is due after a step

    def add(self, losses):
        """A step is done; its losses, 0-dimensional tensors by name, go to the log's next line."""
        self.step += 1
        self.names = list(losses)
        self.sums = self.sums + torch.stack(list(losses.values()))  # on the device: none is waited
        self.bar.update()  # for

    def log_due(self):
        return self.step % self.config.log_every == 0 or self.step == self.steps

    def sample_due(self):
        return self.writes and (self.step % self.config.sample_every == 0
                                or self.step == self.steps)

    def keep_due(self):
        every = self.config.keep_every
        return self.writes and every and (self.step % every == 0 or self.step == self.steps)

    def save_due(self):
        return self.writes and time.monotonic() - self.last_save > self.config.save_seconds

    def stop_asked(self):
        """Whether to leave now. Several processes agree on it when a line of the log is due, so
        that all leave after the same step."""
        if parallel.processes() > 1:
            if not self.log_due():
                return False
            asked = parallel.largest(self.asked)
            if asked:  # if not, keep what came while the processes talked, for the next time
                self.asked = asked
            return bool(asked)
        return bool(self.asked)

    # Doing it

    def log(self):
        """A line of log.csv: means of the losses since the line before."""
        count = (self.step - 1) % self.config.log_every + 1
        means = dict(zip(self.names, parallel.mean(self.sums / count).tolist(), strict=True))
        self.need_finite([name for name, mean in means.items() if not abs(mean) < float("inf")])
        self.sums = torch.zeros_like(self.sums)
        if self.writes:
            lr = self.model.optimizers["G"].param_groups[0]["lr"]
            row = {"step": self.step, "epoch": (self.step - 1) // self.steps_per_epoch + 1,
                   "lr": lr} | dict(sorted(means.items()))
            with open(self.out / "log.csv", "a", newline="") as file:
                if file.tell() == 0:
                    file.write(",".join(row) + "\n")
                file.write(",".join(f"{value:.6g}" if isinstance(value, float) else str(value)
                                    for value in row.values()) + "\n")
        kinds = {}  # both directions together: the bar has little room
        for name, mean in means.items():
            kinds.setdefault(name.removesuffix("_A").removesuffix("_B"), []).append(mean)
        self.bar.set_postfix_str(" ".join(f"{k[:3]} {sum(v) / len(v):.2f}"
                                          for k, v in kinds.items()))

    def need_finite(self, wrong):
        """Stop a run in which something, a list of names, is no number any more."""
        if wrong:
            precision = ", or with --precision fp32" if self.precision == "bf16" else ""
            raise InputError(f"{self.out}: {', '.join(wrong)} is not finite at step {self.step}, "
                             f"so training stopped there; {LAST} is of a step before. Start a new "
                             f"run with a smaller --lr{precision}.")

    @torch.no_grad()
    def draw_samples(self):
        """samples/step_N.png: real, fake, reconstruction and, where known, truth; both ways."""
        from ..lab import plots
        from ..lab.evaluate import symptom
        G_AB, G_BA = self.model.generators()
        pairs, (real_A, real_B) = self.tests[0], (x.to(self.device) for x in self.tests[1])
        with uncompiled():
            fake_B, fake_A = G_AB(real_A), G_BA(real_B)
            rows = {"real_A": real_A, "fake_B": fake_B, "rec_A": G_BA(fake_B)}
            rows |= {"true_B": real_B} if pairs else {}
            rows |= {"real_B": real_B, "fake_A": fake_A, "rec_B": G_AB(fake_A)}
            rows |= {"true_A": real_A} if pairs else {}
        for real, fake in ((real_A, fake_B), (real_B, fake_A)):
            if not self.warned and (warning := symptom(real, fake)):
                tqdm.write(f"step {self.step}: {warning}", file=sys.stderr)
                self.warned = True
        path = self.out / "samples" / f"step_{self.step:06d}.png"
        plots.show([list(images.cpu()) for images in rows.values()], list(rows), path)
        plots.loss_curves(self.out / "log.csv", self.out / "losses.png", self.config.adversarial)

    def keep(self):
        """kept/step_N.pt: the generators of this step, for `evaluate --kept` and `translate`."""
        (self.out / "kept").mkdir(exist_ok=True)
        save_checkpoint(self.out / "kept" / f"step_{self.step:06d}.pt",
                        generators_of(self.content()))

    def save(self):
        if self.saved == self.step:
            return
        self.need_finite([f"a weight of {name}" for name, network in self.networks.items()
                          if not all(p.isfinite().all() for p in network.parameters())])
        if (self.out / "log.csv").exists():
            with open(self.out / "log.csv", "ab") as file:
                os.fsync(file.fileno())  # the lines up to here are not written again
        save_checkpoint(self.out / LAST, self.content(), before=self.out / BEFORE)
        self.saved, self.last_save = self.step, time.monotonic()

    def content(self):
        return {
            "config": asdict(self.config), "precision": self.precision, "batch": self.batch,
            "step": self.step, "data": self.fingerprint,
            "networks": {k: n.state_dict() for k, n in self.networks.items()},
            "optimizers": {k: o.state_dict() for k, o in self.model.optimizers.items()},
            "pools": {k: p.state_dict() for k, p in self.model.pools.items()},
            "names": self.names, "sums": self.sums}

    def load(self, checkpoint):
        then, now = checkpoint["data"], self.fingerprint
        for d in "AB":
            if then[d] != now[d]:
                raise InputError(f"{self.config.data}/train{d} holds other images than when the "
                                 f"run in {self.out} began ({now[d]}; then {shown(then[d])}); put "
                                 "them back as they were, name the folder that holds them with "
                                 "--data, or start a new run.")
        self.step = self.saved = checkpoint["step"]
        for name, network in self.networks.items():
            fill(network, checkpoint["networks"][name], name, self.out)
        for name, optimizer in self.model.optimizers.items():
            optimizer.load_state_dict({  # the moments; learning rate and the like are in config
                "state": checkpoint["optimizers"][name]["state"],
                "param_groups": optimizer.state_dict()["param_groups"]})
        for name, pool in self.model.pools.items():
            pool.load_state_dict(checkpoint["pools"][name], self.device)
        self.names, self.sums = checkpoint["names"], checkpoint["sums"].to(self.device)

    def cut_log(self):
        """Take lines back that were written after the checkpoint: they will be written again."""
        log = self.out / "log.csv"
        if log.exists():
            head, *lines = log.read_text().splitlines(keepends=True) or [""]
            try:
                kept = [line for line in lines if line.endswith("\n")
                        and int(line.split(",")[0]) <= self.step]
            except ValueError as error:
                raise InputError(f"{log} is damaged ({error}); take the bad line out, or remove "
                                 "the file: then the log begins anew.") from error
            write_whole(log, (head + "".join(kept) if kept else "").encode())

    def finish(self):
        """The last lines of a run: where it stopped, or how it did and where to look. Returns the
        exit code."""
        if self.asked or self.step < self.steps:
            print(f"stopped after step {self.step} of {self.steps} and saved; go on with:\n"
                  f"  {command('train', '--resume', self.out)}", file=sys.stderr)
            return 128 + self.asked if self.asked else 0
        self.leave_signals()
        from ..lab.evaluate import write_scores
        from ..lab.report import write_report
        minutes, pairs = (time.monotonic() - self.began) / 60, self.tests[0]
        print(f"{self.out}: {self.steps} steps; {minutes:.1f} minutes on {self.device.type} in "
              f"{self.precision}")
        if pairs:
            with uncompiled():
                print(write_scores(*self.model.generators(), pairs, self.device,
                                   self.out / "scores.json", self.out / "scores.png"))
        else:
            print("no scores: the true counterparts of the test images are not known; scores "
                  f"without them:\n  {command('evaluate', self.out, '--fid')}")
        tests = Path(self.config.data) / "testA"
        inputs = tests if tests.is_dir() else tests.with_name("trainA")
        print(f"look at {write_report(self.out)}; then translate images of your own:\n  "
              + command("translate", self.out, "--to", "B", inputs, "--out", self.out / "fake_B"))
        return 0
