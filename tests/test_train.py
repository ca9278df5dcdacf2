import csv
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import torch
from conftest import OPTIONS, TINY, TOY_SET, same
from minicyclegan.checkpoint import BEFORE, LAST, load_checkpoint
from tqdm import tqdm

from minicyclegan import CycleGAN, InputError
from minicyclegan.config import PRESETS, Config
from minicyclegan.train import (
    Run,
    learning_rate_factor,
    limit_threads,
    pick_precision,
    resume,
    train,
)


def trained(config, out, steps=3):
    """The weights of a run after some steps."""
    run = Run(config, out)
    for _ in range(steps):
        run.one_step(tqdm(disable=True))
    return {f"{name}.{key}": value.clone() for name, network in run.networks.items()
            for key, value in network.state_dict().items()}


def differ(one, other):
    return one.keys() != other.keys() or any(
        one[k].shape != other[k].shape or not torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("epoch, factor", [(1, 1), (100, 1), (101, 100 / 101), (151, 50 / 101),
                                           (200, 1 / 101)])
def test_schedule_of_the_paper(epoch, factor):
    # Twice off elsewhere: the fall begins an epoch early, or the last epoch trains with 0.
    assert learning_rate_factor(epoch, 200, 100) == pytest.approx(factor)


def test_the_schedule_is_obeyed(photos, tmp_path):
    """By epochs (7 steps each here) and by steps; the optimizers get it, and the log says it."""
    by_epochs = Config(**TINY | dict(data=str(photos), steps=0, epochs=4, batch=1, log_every=1))
    by_steps = Config(**TINY | dict(data=str(photos), steps=28, batch=1, log_every=1))
    for config, per in ((by_epochs, 7), (by_steps, 1)):
        run = Run(config, tmp_path / str(per))
        assert run.steps == 28
        seen = []
        for _ in range(27):  # the last would draw samples
            run.one_step(tqdm(disable=True))
            seen += {group["lr"] for optimizer in run.model.optimizers.values()
                     for group in optimizer.param_groups}
        total = 28 // per
        assert seen == pytest.approx([
            1e-3 * min(1, (total + 1 - k) / (total / 2 + 1))
            for k in (step // per + 1 for step in range(27))])
        with open(run.out / "log.csv") as file:
            assert [float(r["lr"]) for r in csv.DictReader(file)] == pytest.approx(seen, rel=1e-5)


# Every option that is said to change the mathematics, with another value.
FLIPPED = dict(
    size=20, zoom=1.5, flip=False, channels=1, model="one_way", width=3, blocks=2,
    upsample="transpose", disc_width=3, disc_depth=1, adversarial="log", reconstruction="L2",
    lambda_adversarial=0.5, lambda_cycle_A=5.0, lambda_cycle_B=5.0, lambda_identity=0.5,
    pool_size=0, steps=5, flat=0.0, batch=1, lr=1e-4, beta1=0.9, beta2=0.9, seed=1,
    precision="bf16")
SAME = dict(epochs=3, device="cpu", workers=1, log_every=1, sample_every=100, save_seconds=1.0,
            save_steps=1)


def test_every_option_is_looked_at():
    others = {"data", "compile", "skip_bad"}
    assert FLIPPED.keys() | SAME.keys() | others == {f.name for f in fields(Config)}


@pytest.fixture(scope="module")
def plain(photos, tmp_path_factory):
    settings = TINY | dict(data=str(photos), pool_size=2, sample_every=100, steps=30)
    return settings, trained(Config(**settings), tmp_path_factory.mktemp("run") / "plain")


@pytest.mark.parametrize("name", FLIPPED | SAME)
def test_options_have_an_effect_where_they_should(name, plain, tmp_path):
    settings, weights = plain
    changed = trained(Config(**settings | {name: (FLIPPED | SAME)[name]}), tmp_path / "run")
    assert differ(weights, changed) == (name in FLIPPED)


def test_epochs_have_an_effect_without_steps(plain, tmp_path):
    settings, _ = plain
    short, long = (trained(Config(**settings | dict(steps=0, epochs=n, flat=0.0)),
                           tmp_path / str(n)) for n in (2, 3))
    assert differ(short, long)


@pytest.fixture(scope="module")
def toy_run(tmp_path_factory):
    """A whole run on a toy set of two images a folder."""
    from minicyclegan import toy
    root = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "COUNTS", dict(trainA=3, trainB=3, testA=2, testB=2))
        toy.draw_dataset(root / "data", size=16)
    assert train(Config(**TINY | dict(data=str(root / "data"), sample_every=2)), root / "run") == 0
    return root / "run"


def test_what_a_run_leaves(toy_run):
    assert sorted(p.name for p in toy_run.iterdir()) == [
        ".lock", "checked.json", "checkpoint.pt", "checkpoint_before.pt", "config.json", "log.csv",
        "losses.png", "report.html", "samples", "scores.json", "scores.png"]
    assert sorted(p.name for p in (toy_run / "samples").iterdir()) == [
        "step_000002.png", "step_000004.png"]
    config = Config(**json.loads((toy_run / "config.json").read_text()))
    assert config.steps == 4
    with open(toy_run / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [r["step"] for r in rows] == ["2", "4"]
    assert {"adversarial_A", "cycle_B", "discriminator_A"} < rows[0].keys()
    scores = json.loads((toy_run / "scores.json").read_text())
    assert scores["images"] == 2
    assert {"mae", "mae_nothing", "psnr", "ssim", "mae_animal", "mae_background"} < scores[
        "A_to_B"].keys() == scores["B_to_A"].keys()
    checkpoint = load_checkpoint(toy_run)
    assert all(not key.startswith(("module.", "_orig_mod."))
               for network in checkpoint["networks"].values() for key in network)


def test_an_existing_run_is_left_alone(toy_run):
    with pytest.raises(InputError, match="exists already.*--resume"):
        train(Config(**TINY), toy_run)


def test_the_log_holds_means(plain, tmp_path):
    """A line covers the steps since the line before it, not the last of them alone."""
    settings, _ = plain
    rows = {}
    for every in (1, 4):
        run = Run(Config(**settings | dict(log_every=every)), tmp_path / str(every))
        for _ in range(8):
            run.one_step(tqdm(disable=True))
        with open(run.out / "log.csv") as file:
            rows[every] = [float(r["cycle_A"]) for r in csv.DictReader(file)]
    assert rows[4] == pytest.approx([sum(rows[1][:4]) / 4, sum(rows[1][4:]) / 4], rel=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resume_is_exact(precision, photos, tmp_path, monkeypatch):
    """Stopped twice in mid-epoch and gone on: weights, moments, pools and log as if never."""
    settings = dict(data=str(photos), steps=9, pool_size=2, log_every=3, precision=precision)
    config = Config(**TINY | settings)
    assert train(config, tmp_path / "whole") == 0

    def stop_at(*steps):
        one_step = Run.one_step

        def stepping(self, bar):
            one_step(self, bar)
            if self.step in steps:
                os.kill(os.getpid(), signal.SIGTERM)
        monkeypatch.setattr(Run, "one_step", stepping)

    with monkeypatch.context() as monkeypatch:
        stop_at(2, 5)
        assert train(config, tmp_path / "stopped") == 143
        assert load_checkpoint(tmp_path / "stopped")["step"] == 2
        with open(tmp_path / "stopped" / "log.csv", "a") as log:
            log.write("3,1,0.001,9,9,9,9,9,9\n4,1,0.0")  # written after the checkpoint, and torn
        assert resume(tmp_path / "stopped") == 143
        assert load_checkpoint(tmp_path / "stopped")["step"] == 5
        assert resume(tmp_path / "stopped") == 0

    whole, stopped = (load_checkpoint(tmp_path / name) for name in ("whole", "stopped"))
    assert same(whole, stopped)
    assert ((tmp_path / "whole" / "log.csv").read_bytes()
            == (tmp_path / "stopped" / "log.csv").read_bytes())


def test_a_resumed_run_keeps_its_options(toy_run):
    with pytest.raises(InputError, match=r"--batch 3 \(the run has 2\), --lr 0.5 \(the .* 0.001\)"):
        resume(toy_run, lr=0.5, batch=3)
    assert resume(toy_run, device="cpu", lr=1e-3, save_steps=7) == 0  # all done: scores once more


def test_an_edited_config_is_not_passed_over(toy_run):
    file = toy_run / "config.json"
    text = file.read_text()
    for old, new, message in (
            ('"lr": 0.001', '"lr": 0.01', r"--lr 0.01 \(the run has 0.001\)"),
            ('"size"', '"sise"', "written by another version.*sise"),
            ('"size": 16', '"size": "16"', "--size must be of type int, not '16'"),
            ("}", "", "config.json is damaged")):
        file.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=message):
            resume(toy_run)
    file.write_text(text.replace('"workers": 4', '"workers": 2'))  # changes no result
    assert resume(toy_run) == 0
    file.unlink()
    assert resume(toy_run) == 0  # the checkpoint has it all
    file.write_text(text)


def test_in_portions(photos, tmp_path, capsys):
    """--stop-after, --save-steps: stopped every two steps, a run ends as if never."""
    config = Config(**TINY | dict(data=str(photos), save_steps=1, save_seconds=1000.0))
    assert train(config, tmp_path / "whole") == 0
    assert train(config, tmp_path / "run", stop_after=2) == 0
    said = capsys.readouterr().err
    assert f"2 of 4 and saved; go on with:\n  minicyclegan train --resume {tmp_path}" in said
    assert [load_checkpoint(tmp_path / "run" / name)["step"] for name in (LAST, BEFORE)] == [2, 1]
    assert resume(tmp_path / "run", stop_after=2) == 0
    assert same(*(load_checkpoint(tmp_path / name) for name in ("whole", "run")))


def test_killed_before_its_first_checkpoint(plain, tmp_path):
    """Nothing but a lock: it begins anew. Only config.json: it begins with those options."""
    settings, _ = plain
    config, out = Config(**settings | dict(steps=4)), tmp_path / "run"
    assert train(config, tmp_path / "whole") == 0
    out.mkdir()
    (out / ".lock").touch()
    (out / ".config.json.tmp").write_text("{")
    with pytest.raises(InputError, match="checkpoint.pt does not exist"):
        resume(out)
    assert train(config, out, stop_after=1) == 0
    for file in (LAST, BEFORE, "log.csv"):
        (out / file).unlink(missing_ok=True)
    assert resume(out) == 0
    assert same(*(load_checkpoint(run) for run in (tmp_path / "whole", out)))


def test_a_damaged_checkpoint_costs_no_more_than_an_interval(plain, tmp_path, capsys):
    settings, _ = plain
    config, out = Config(**settings | dict(steps=6, save_steps=1)), tmp_path / "run"
    assert train(config, tmp_path / "whole") == 0
    train(config, out, stop_after=4)
    (out / LAST).write_bytes((out / LAST).read_bytes()[:-100])
    assert resume(out, stop_after=1) == 0
    assert "checkpoint_before.pt takes its place" in capsys.readouterr().err
    assert [load_checkpoint(out / name)["step"] for name in (LAST, BEFORE)] == [4, 3]
    assert resume(out) == 0
    assert same(*(load_checkpoint(run) for run in (tmp_path / "whole", out)))
    assert (out / "log.csv").read_bytes() == (tmp_path / "whole" / "log.csv").read_bytes()


@pytest.fixture(scope="module")
def half_done(plain, tmp_path_factory):
    settings, _ = plain
    out = tmp_path_factory.mktemp("half") / "run"
    assert train(Config(**settings | dict(steps=4)), out, stop_after=2) == 0
    (out / "config.json").unlink()
    return out, (out / LAST).read_bytes()


@pytest.mark.parametrize("change", [
    lambda c: c.pop("pools"), lambda c: c.update(step=99), lambda c: c.update(step="1"),
    lambda c: c.update(batch="2"), lambda c: c.update(optimizers={"G": {}, "D": {}}),
    lambda c: c["pools"]["A"].update(images=torch.zeros(99, 3, 16, 16)),
    lambda c: c["pools"]["A"].update(images=torch.zeros(1, 3, 8, 8)),
    lambda c: c["optimizers"]["G"]["state"][0].update(exp_avg=torch.zeros(1)),
    lambda c: c["config"].update(size="16"), lambda c: c["config"].update(steps=-1),
])
def test_a_checkpoint_that_does_not_fit_together(change, half_done):
    out, content = half_done
    (out / LAST).write_bytes(content)
    checkpoint = load_checkpoint(out)
    change(checkpoint)
    torch.save(checkpoint, out / LAST)
    with pytest.raises(InputError):
        resume(out)


def test_only_one_process_trains_in_a_folder(plain, tmp_path):
    settings, _ = plain
    run = Run(Config(**settings), tmp_path / "run")
    with pytest.raises(InputError, match=r"another process is training in .*run; wait for it"):
        resume(tmp_path / "run")
    run.lock.close()  # as when the process ends, even by a kill
    assert resume(tmp_path / "run", stop_after=1) == 0


def test_no_room_to_save(photos, tmp_path):
    """The operating system lets no file grow beyond a limit, as a full disk would not."""
    options = ["--data", str(photos), *OPTIONS, "--steps", "40", "--save-steps", "1"]
    command = [sys.executable, "-m", "minicyclegan", "train"]
    out = tmp_path / "run"
    assert subprocess.run([*command, *options, "--out", out, "--stop-after", "2"]).returncode == 0
    limit = (out / LAST).stat().st_size - 5000
    result = subprocess.run(
        [*command, "--resume", out], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last == (f"minicyclegan train: {out / LAST} could not be read or written (File too "
                    f"large); {out / LAST} is whole: put this right, then go on with --resume "
                    f"{out}.")
    assert load_checkpoint(out)["step"] == 2 and not list(out.glob(".*.tmp"))
    assert resume(out) == 0


def losing(steps, monkeypatch):
    """From step `steps` on, a loss is not a number."""
    step = CycleGAN.step

    def broken(self, real_A, real_B):
        losses = step(self, real_A, real_B)
        broken.calls += 1
        if broken.calls >= steps:
            losses["cycle_A"] = losses["cycle_A"] * float("nan")
        return losses

    broken.calls = 0
    monkeypatch.setattr(CycleGAN, "step", broken)


def test_a_loss_that_is_no_number_stops_the_run(plain, tmp_path, monkeypatch):
    settings, _ = plain
    losing(3, monkeypatch)
    with pytest.raises(InputError, match=r"cycle_A is not finite at step 3, so training "
                       r"stopped there.* Start a new run with a smaller --lr\."):
        train(Config(**settings | dict(save_steps=1)), tmp_path / "run")
    assert load_checkpoint(tmp_path / "run")["step"] == 2


def test_where_looking_costs_time_the_step_is_named_all_the_same(plain, tmp_path, monkeypatch):
    """On a GPU the losses are looked at when they are logged or saved, not at every step."""
    settings, _ = plain
    losing(3, monkeypatch)
    run = Run(Config(**settings | dict(log_every=8)), tmp_path / "run")
    run.device = torch.device("cuda")  # only its name is looked at from here on
    run.batches = iter(list(run.data.batches(run.places(), torch.device("cpu"))))
    for _ in range(7):
        run.one_step(tqdm(disable=True))
    with pytest.raises(InputError, match="cycle_A is not finite at step 3"):
        run.save()
    with pytest.raises(InputError, match="cycle_A is not finite at step 3"):
        run.one_step(tqdm(disable=True))


def test_a_weight_that_is_no_number_is_not_saved(plain, tmp_path):
    settings, _ = plain
    run = Run(Config(**settings), tmp_path / "run")
    run.one_step(tqdm(disable=True))
    next(run.model.D_A.parameters()).data[0] = float("inf")
    with pytest.raises(InputError, match="a weight of D_A is not finite at step 1"):
        run.save()
    assert load_checkpoint(tmp_path / "run")["step"] == 0


def test_fakes_that_look_wrong_are_mentioned_once(plain, tmp_path, capsys):
    settings, _ = plain
    run = Run(Config(**settings), tmp_path / "run")
    run.model.G_AB.forward = run.model.G_BA.forward = lambda image: -image
    for _ in range(2):
        run.step += 1
        run.draw_samples()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("step 1: light and dark have changed places")


def test_the_same_seed_gives_the_same_run(plain, tmp_path):
    settings, weights = plain
    assert not differ(weights, trained(Config(**settings), tmp_path / "again"))


@pytest.mark.parametrize("options, message", [
    (dict(size=30), "--size must be a multiple of 4"), (dict(size=4), "--size must be .*at least"),
    (dict(batch=0), "--batch must be at least 1"),
    (dict(lr=float("nan")), "--lr must be at least 0, not nan"),
    (dict(beta1=1.5), "--beta1 must be at most 0.9999"),
    (dict(lr=float("inf")), "--lr must be finite"),
    (dict(upsample="bilinear"), "--upsample is one of transpose, resize"),
    (dict(lambda_adversarial=0, lambda_cycle_A=0, lambda_cycle_B=0), "nothing is left to learn"),
    (dict(model="one_way", lambda_adversarial=0, lambda_cycle_A=0), "nothing is left to learn"),
])
def test_options_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        Config(**options)


def test_more_to_a_batch_than_there_are_images(photos, tmp_path):
    with pytest.raises(InputError, match="--batch 8 is more than the 7 images"):
        train(Config(**TINY | dict(data=str(photos), batch=8)), tmp_path / "run")


def test_what_does_not_fit_into_memory(plain, tmp_path, monkeypatch):
    settings, _ = plain
    config = Config(**settings | dict(batch=3))

    def full(self, bar):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    def broken(self, bar):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Run, "one_step", full)
    with pytest.raises(InputError, match="--batch 3 at --size 16 does not fit into the memory"):
        train(config, tmp_path / "full")
    assert load_checkpoint(tmp_path / "full")["step"] == 0
    monkeypatch.setattr(Run, "one_step", broken)
    with pytest.raises(RuntimeError, match="shapes"):  # a fault of ours is not explained away
        train(config, tmp_path / "broken")


CPU = torch.device("cpu")


def bf16_in_hardware(monkeypatch, yes):
    for kind in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{kind}_supported", lambda: yes, raising=False)


def test_precision_is_bf16_where_it_is_fast(monkeypatch, capsys):
    for yes, precision in ((True, "bf16"), (False, "fp32")):
        bf16_in_hardware(monkeypatch, yes)
        assert pick_precision("auto", CPU) == precision
        assert pick_precision("fp32", CPU) == "fp32"
    assert capsys.readouterr().out == ""
    assert pick_precision("bf16", CPU) == "bf16"
    assert "bf16 is emulated on cpu and slow; --precision fp32" in capsys.readouterr().out
    for capability, precision in (((7, 0), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda d, c=capability: c)
        assert pick_precision("auto", torch.device("cuda")) == precision


def test_bf16_that_does_not_exist(monkeypatch):
    def unknown(*_):
        raise RuntimeError('"conv" not implemented for BFloat16')

    bf16_in_hardware(monkeypatch, False)
    monkeypatch.setattr(torch.nn.functional, "conv2d", unknown)
    with pytest.raises(InputError, match="--precision bf16 does not exist on cpu; use fp32"):
        pick_precision("bf16", CPU)


def test_a_run_says_how_it_computes(plain, tmp_path, capsys):
    settings, _ = plain
    assert train(Config(**settings | dict(steps=2, batch=3)), tmp_path / "run") == 0
    assert "2 steps on cpu in fp32, 3 pairs a step\n" in capsys.readouterr().out


def test_without_a_compiler_it_goes_on(plain, tmp_path, monkeypatch, capsys):
    def missing(*_, **__):
        raise RuntimeError("InvalidCxxCompiler: no working C++ compiler found\nin sight")

    settings, weights = plain
    monkeypatch.setattr(torch, "compile", missing)
    assert not differ(weights, trained(Config(**settings | dict(compile=True)), tmp_path / "run"))
    assert ("torch.compile does not work here (InvalidCxxCompiler: no working C++ compiler found)"
            "; going on without") in capsys.readouterr().out


@pytest.mark.slow
def test_compiled_training_is_the_same_but_for_rounding(plain, tmp_path, capsys):
    settings, _ = plain
    logs = []
    for compile in (False, True):
        out = tmp_path / str(compile)
        trained(Config(**settings | dict(compile=compile, log_every=1)), out)
        with open(out / "log.csv") as file:
            logs.append([float(v) for v in list(csv.reader(file))[1]])
    assert "going on without" not in capsys.readouterr().out
    assert logs[0] == pytest.approx(logs[1], rel=1e-3)


def test_threads_are_limited_to_what_a_container_may_use(monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for text, threads in (("max 100000", 2), ("400000 100000", 2), ("150000 100000", 1),
                              ("50000 100000", 1)):
            monkeypatch.setattr(Path, "read_text", lambda self, text=text: text)
            limit_threads()
            assert torch.get_num_threads() == threads
            torch.set_num_threads(2)
    finally:
        torch.set_num_threads(before)


def test_preset_of_the_paper():
    config = Config(**PRESETS["paper"])
    assert (config.size, round(config.size * config.zoom)) == (256, 286)
    assert config.flip and config.batch == 1
    assert (config.width, config.blocks, config.upsample) == (64, 9, "transpose")
    assert (config.disc_width, config.disc_depth) == (64, 3)
    assert (config.lr, config.beta1, config.beta2) == (2e-4, 0.5, 0.999)
    assert (config.epochs, config.flat, config.steps) == (200, 0.5, 0)
    assert config.adversarial == "least_squares" and config.reconstruction == "L1"
    assert config.lambda_cycle_A == config.lambda_cycle_B == 10 and config.pool_size == 50
    assert asdict(config)["lambda_identity"] == 0


@pytest.mark.slow
def test_it_learns(tmp_path):
    """A fifth of the default run is enough to leave "doing nothing" behind, both ways."""
    assert train(Config(data=str(TOY_SET), steps=300, sample_every=300), tmp_path / "run") == 0
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["images"] == 60
    for way, share in (("A_to_B", 0.85), ("B_to_A", 0.5)):
        assert scores[way]["mae"] < share * scores[way]["mae_nothing"], way


@pytest.mark.slow
@pytest.mark.parametrize("script", [["kill.py", "--kills", "6"], ["soak.py", "--steps", "3000"]])
def test_killed_and_soaked(script):
    result = subprocess.run([sys.executable, Path(__file__).parent / script[0], *script[1:]],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
