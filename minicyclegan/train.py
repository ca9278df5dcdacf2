"""Training, from a folder of images to a run folder.

    minicyclegan train                                      the toy set, about a minute on two cores
    minicyclegan train --preset paper --data horse2zebra    the paper's recipe, on a GPU
    minicyclegan train --resume runs/toy                    go on where a run stopped
    minicyclegan train --init runs/toy --lr 1e-4            a new run from the networks of another
    torchrun --nproc_per_node=8 -m minicyclegan train ...   on eight GPUs, see engine/parallel.py

Ctrl-C and SIGTERM finish the step, save and leave; --resume goes on from there. Whatever stops a
run, it ends with the same weights as one that nothing stopped, to the last bit on a CPU. What it
leaves in its folder is told in engine/run.py.
"""

from dataclasses import asdict, replace
from pathlib import Path

from . import cyclegan
from .config import FREE, TOY, as_config, dashed
from .data import UnpairedImages, check_tests, read_tests
from .engine import parallel
from .engine.device import compile_networks, for_training, pick_device, pick_precision, seeded
from .engine.errors import InputError, command
from .engine.run import Run, need_new, stored
from .translate import start_from


def loop(run, model, batches):
    """The training loop: a step on every batch, and what is due after it."""
    for real_A, real_B in batches:
        set_learning_rate(model, run)
        run.add(model.step(real_A, real_B))  # summed on the device: no GPU is waited for
        if run.log_due():
            run.log()
        if run.sample_due():
            run.draw_samples()
        if run.keep_due():
            run.keep()
        if run.save_due():
            run.save()
        if run.stop_asked():
            break


def set_learning_rate(model, run):
    """Flat, then falling: by steps where the run is so many of them, else by epochs (7.1)."""
    config = run.config
    k, total = ((run.step + 1, config.steps) if config.steps else
                (run.step // run.steps_per_epoch + 1, config.epochs))
    factor = learning_rate_factor(k, total, round(config.flat * total))
    for name, optimizer in model.optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = factor * (config.lr_D or config.lr if name == "D" else config.lr)


def learning_rate_factor(k, total, flat):
    """What the learning rate is multiplied by in the k-th of `total` epochs (or steps), k from 1.

    1 for the first `flat` of them, then linearly down, so that it would be 0 in the one after
    the last: with 200 and 100 it is 1 at k = 100, 100/101 at 101, 1/101 at 200 (section 7.1).
    """
    return 1 - max(0, k - flat) / (total - flat + 1)


def train(config, out, stop_after=0, make_model=cyclegan.make_model):
    """Train a new run into the folder `out`. Returns 0, or 128 + the signal that stopped it.

    stop_after  save and leave after so many steps, to be resumed later; 0: go on to the end
    make_model  what makes the networks and takes the steps, see cyclegan.make_model
    Raises InputError for options or data that cannot be used, and where the run goes wrong or
    can no longer write; the last checkpoint is whole then.
    """
    with Run(out) as run:
        need_new(run.out)
        return go(run, config, None, stop_after, make_model)


def resume(out, stop_after=0, make_model=cyclegan.make_model, **changes):
    """Go on with the run in `out` where it stopped. `changes` may name options that do not change
    what is learned, those in FREE: where its images lie now, for one. The number of processes may
    be another; the batch of all together stays.

    Raises InputError where there is no run, another process is at it, or an option has changed.
    """
    with Run(out) as run:
        run.hold()  # before the checkpoint is read: another process may be writing it
        options, written, checkpoint = stored(run.out)
        config = as_config(options, run.out)
        wanted = asdict(as_config(written, run.out)) | changes
        different = [f"--{dashed(name)} {value} (the run has {getattr(config, name)})"
                     for name, value in wanted.items()
                     if name not in FREE and value != getattr(config, name)]
        if different:
            raise InputError(f"{run.out} keeps its options, and cannot go on with "
                             f"{', '.join(different)}; leave them as they were, or start a new run "
                             f"from its networks: {command('train', '--init', run.out)}")
        config = replace(config, **{name: wanted[name] for name in FREE})
        if not Path(config.data).is_dir():
            raise InputError(
                f"{config.data}, where the run in {run.out} had its images, is no folder here; say "
                f"where they are: {command('train', '--resume', run.out, '--data', 'FOLDER')}")
        return go(run, config, checkpoint, stop_after, make_model)


def go(run, config, checkpoint, stop_after, make_model):
    """Everything before the first step, the loop, and everything after the last."""
    with for_training():
        device = pick_device(config.device)
        # The precision a run began with stays with it, wherever it goes on; so does its batch.
        precision = pick_precision(checkpoint["precision"] if checkpoint else config.precision,
                                   device)
        batch = checkpoint["batch"] if checkpoint else config.batch * parallel.processes()
        if batch % parallel.processes():
            raise InputError(f"{run.out} takes {batch} pairs a step, which {parallel.processes()} "
                             "processes cannot share equally; start another number of them.")
        data, tests = read_images(run, config, batch, new=not checkpoint)
        with seeded(config.seed):
            model = make_model(config, precision).to(device)
        if config.init and not checkpoint:
            start_from(model, config.init)
        if config.compile:
            compile_networks(model, device)
        run.begin(config, model, data.to(device), tests, device, precision, batch, checkpoint)
        parallel.share(model)
        last = min(run.steps, run.step + stop_after) if stop_after else run.steps
        loop(run, model, data.batches(range(run.step, last), batch, device, parallel.rank(),
                                      parallel.processes(), config.workers))
        run.bar.close()
        if run.writes:
            run.save()
        parallel.stop(model)  # what is left to do, process 0 does alone
        return run.finish() if run.writes else 0


def read_images(run, config, batch, new):
    """Look at every image of the run before anything else: what cannot be read is refused, or
    with --skip-bad left out and listed. Says what the run has, and what was left alone."""
    if config.data == TOY and new and parallel.rank() == 0:
        from .lab.toy import toy_set
        toy_set()  # drawn where it is missing
    parallel.from_first(None)  # wait for it
    bad, left, remarks = {}, {}, {}
    check_tests(config.data, config.size, bad, left, remarks)
    data = UnpairedImages(config.data, "train", config.size, config.zoom, config.flip,
                          config.channels, config.seed, config.skip_bad, bad, left, remarks)
    if len(data) < batch:
        raise InputError(f"--batch {batch} is more than the {len(data)} images in {config.data}; "
                         "make it smaller.")
    tests = read_tests(config.data, config.size, config.channels, config.pairs, bad)
    run.say_images(data.files, tests[0], bad, left, remarks)
    return data, tests
