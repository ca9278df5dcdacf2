"""A run's folder: what it leaves there, and that nothing which stops it costs more than time."""

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from conftest import TINY, same

from minicyclegan import InputError, make_model
from minicyclegan.config import Config
from minicyclegan.engine.checkpoint import BEFORE, LAST, load_checkpoint
from minicyclegan.engine.run import Run, lock
from minicyclegan.train import resume, train


@pytest.fixture(scope="module")
def toy_run(tmp_path_factory):
    """A whole run on a toy set of two images a folder."""
    from minicyclegan.lab import toy
    root = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "COUNTS", dict(trainA=3, trainB=3, testA=2, testB=2))
        toy.draw_dataset(root / "data", size=16)
    assert train(Config(**TINY | dict(data=str(root / "data"), sample_every=2, keep_every=2)),
                 root / "run") == 0
    return root / "run"


@pytest.fixture
def settings(photos):
    return TINY | dict(data=str(photos), pool_size=2, sample_every=100, steps=8)


def watched(at):
    """A make_model whose model calls `at(number)` after its first, second, ... step, counted over
    all calls: it may raise a signal, or make losses of its own of those it gets."""
    calls = []

    def watching(config, precision):
        model = make_model(config, precision)
        step = model.step

        def stepping(real_A, real_B):
            losses = step(real_A, real_B)
            calls.append(1)
            return at(len(calls), losses) or losses
        model.step = stepping
        return model
    return watching


def stop_at(*numbers):
    return watched(lambda n, _: os.kill(os.getpid(), signal.SIGTERM) if n in numbers else None)


def test_what_a_run_leaves(toy_run):
    assert sorted(p.name for p in toy_run.iterdir()) == [
        ".lock", "checkpoint.pt", "checkpoint_before.pt", "config.json", "kept", "log.csv",
        "losses.png", "report.html", "samples", "scores.json", "scores.png"]
    for folder, suffix in (("samples", "png"), ("kept", "pt")):
        assert sorted(p.name for p in (toy_run / folder).iterdir()) == [
            f"step_000002.{suffix}", f"step_000004.{suffix}"]
    config = Config(**json.loads((toy_run / "config.json").read_text()))
    assert config.steps == 4
    with open(toy_run / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [r["step"] for r in rows] == ["2", "4"]
    assert {"adversarial_A", "cycle_B", "discriminator_A"} < rows[0].keys()
    scores = json.loads((toy_run / "scores.json").read_text())
    assert scores["images"] == 2 and "mae_animal" in scores["A_to_B"]["ours"]
    kept, last = (load_checkpoint(f)["networks"] for f in (
        toy_run / "kept" / "step_000004.pt", toy_run))
    assert kept.keys() == {"G_AB", "G_BA"} and same(kept["G_AB"], last["G_AB"])


def test_an_existing_run_is_left_alone(toy_run):
    with pytest.raises(InputError, match="exists already.*--resume"):
        train(Config(**TINY), toy_run)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resume_is_exact(precision, photos, tmp_path):
    """Stopped twice in mid-epoch and gone on: weights, moments, pools and log as if never."""
    settings = dict(data=str(photos), steps=10, pool_size=2, log_every=3, precision=precision)
    config = Config(**TINY | settings)
    assert train(config, tmp_path / "whole", stop_after=9) == 0
    stopping = stop_at(2, 5)
    assert train(config, tmp_path / "stopped", make_model=stopping) == 143
    assert load_checkpoint(tmp_path / "stopped")["step"] == 2
    with open(tmp_path / "stopped" / "log.csv", "a") as log:
        log.write("3,1,0.001,9,9,9,9,9,9\n4,1,0.0")  # written after the checkpoint, and torn
    assert resume(tmp_path / "stopped", make_model=stopping) == 143
    assert load_checkpoint(tmp_path / "stopped")["step"] == 5
    assert resume(tmp_path / "stopped", stop_after=4) == 0
    assert same(*(load_checkpoint(tmp_path / name) for name in ("whole", "stopped")))
    assert ((tmp_path / "whole" / "log.csv").read_bytes()
            == (tmp_path / "stopped" / "log.csv").read_bytes())


def test_a_resumed_run_keeps_its_options(toy_run):
    with pytest.raises(InputError, match=r"--batch 3 \(the run has 2\), --lr 0.5 \(the .* 0.001\)"):
        resume(toy_run, lr=0.5, batch=3)
    assert resume(toy_run, device="cpu", lr=1e-3, save_seconds=7.0) == 0  # done: scores once more


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
    assert json.loads(file.read_text())["steps"] == 4


def test_in_portions(settings, tmp_path, capsys):
    """--stop-after: stopped every two steps, a run ends as if never."""
    config = Config(**settings | dict(save_seconds=0.0))
    assert train(config, tmp_path / "whole", stop_after=4) == 0
    assert train(config, tmp_path / "my run", stop_after=2) == 0
    said = capsys.readouterr().err
    assert (f"2 of 8 and saved; go on with:\n  minicyclegan train --resume '{tmp_path}/my run'\n"
            in said)  # quoted, to be copied
    assert [load_checkpoint(tmp_path / "my run" / name)["step"] for name in (LAST, BEFORE)] == [
        2, 1]
    assert resume(tmp_path / "my run", stop_after=2) == 0
    assert same(*(load_checkpoint(tmp_path / name) for name in ("whole", "my run")))


def test_data_that_moved(photos, tmp_path, monkeypatch):
    """Another folder, another working directory: the images decide, not where they lie."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "data")
    config = Config(**TINY | dict(data="data", steps=8))
    assert train(config, "whole", stop_after=4) == 0
    assert train(config, "run", stop_after=2) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="data, where the run in .*run had its images, is no fold"):
        resume(tmp_path / "run")
    (tmp_path / "data").rename(tmp_path / "moved")
    assert resume(tmp_path / "run", stop_after=2, data=str(tmp_path / "moved")) == 0
    one, other = (load_checkpoint(tmp_path / name) for name in ("whole", "run"))
    assert other["config"].pop("data") == str(tmp_path / "moved") and one["config"].pop("data")
    assert same(one, other)
    (tmp_path / "moved" / "trainB" / "B1.png").unlink()
    with pytest.raises(InputError, match="trainB holds other images than when the run"):
        resume(tmp_path / "run", data=str(tmp_path / "moved"))


def test_killed_before_its_first_checkpoint(settings, tmp_path):
    """Nothing but a lock: it begins anew. Only config.json: it begins with those options."""
    config, out = Config(**settings), tmp_path / "run"
    assert train(config, tmp_path / "whole", stop_after=4) == 0
    out.mkdir()
    (out / ".lock").touch()
    (out / ".config.json.tmp").write_text("{")
    with pytest.raises(InputError, match="checkpoint.pt does not exist"):
        resume(out)
    assert train(config, out, stop_after=1) == 0
    for file in (LAST, BEFORE, "log.csv"):
        (out / file).unlink(missing_ok=True)
    assert resume(out, stop_after=4) == 0
    assert same(*(load_checkpoint(run) for run in (tmp_path / "whole", out)))


def test_a_damaged_checkpoint_costs_no_more_than_an_interval(settings, tmp_path, capsys):
    config, out = Config(**settings | dict(save_seconds=0.0)), tmp_path / "run"
    assert train(config, tmp_path / "whole", stop_after=6) == 0
    train(config, out, stop_after=4)
    (out / LAST).write_bytes((out / LAST).read_bytes()[:-100])
    assert resume(out, stop_after=1) == 0
    assert "checkpoint_before.pt takes its place" in capsys.readouterr().err
    assert load_checkpoint(out)["step"] == 4
    assert resume(out, stop_after=2) == 0
    assert same(*(load_checkpoint(run) for run in (tmp_path / "whole", out)))
    assert (out / "log.csv").read_bytes() == (tmp_path / "whole" / "log.csv").read_bytes()


@pytest.mark.parametrize("change", [
    lambda c: c.pop("pools"), lambda c: c.pop("precision"),
    lambda c: c.update(optimizers={"G": {}, "D": {}}),
    lambda c: c["networks"].pop("D_A"), lambda c: c["config"].update(width=3),
    lambda c: c["config"].update(size="16"), lambda c: c["config"].update(steps=-1)])
def test_a_checkpoint_that_does_not_fit_together(change, settings, tmp_path):
    train(Config(**settings), tmp_path, stop_after=1)
    (tmp_path / "config.json").unlink()
    checkpoint = load_checkpoint(tmp_path)
    change(checkpoint)
    torch.save(checkpoint, tmp_path / LAST)
    with pytest.raises(InputError):
        resume(tmp_path)


def test_a_damaged_log_is_one_sentence(settings, tmp_path):
    train(Config(**settings), tmp_path, stop_after=2)
    log = (tmp_path / "log.csv").read_text()
    (tmp_path / "log.csv").write_text(log + "x,1,0.1\n")
    with pytest.raises(InputError, match="log.csv is damaged .*take the bad line out"):
        resume(tmp_path)


def test_only_one_process_trains_in_a_folder(settings, tmp_path, monkeypatch):
    """And the checkpoint is not read before the folder is held: somebody may be writing it."""
    out = tmp_path / "run"
    train(Config(**settings), out, stop_after=1)
    read = []
    monkeypatch.setattr("minicyclegan.train.stored", lambda out: read.append(out))
    with (lock(out), pytest.raises(InputError, match="another process is training in .*run; wait")):
        resume(out)
    assert not read
    monkeypatch.undo()
    assert resume(out, stop_after=1) == 0  # free again


def test_no_room_to_save(settings, tmp_path):
    """The operating system lets no file grow beyond a limit, as a full disk would not."""
    out = tmp_path / "run"
    assert train(Config(**settings | dict(save_seconds=0.0)), out, stop_after=2) == 0
    size, limit = (out / LAST).stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 5000, limit[1]))
    try:
        with pytest.raises(InputError) as error:
            resume(out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert str(error.value) == (
        f"{out / LAST} could not be read or written (File too large); {out / LAST} is whole: put "
        f"this right, then go on with minicyclegan train --resume {out}")
    assert load_checkpoint(out)["step"] == 2 and not list(out.glob(".*.tmp"))
    assert resume(out, stop_after=1) == 0


def test_a_loss_that_is_no_number_stops_the_run(settings, tmp_path):
    """It is looked at when a line of the log is due; a sum keeps it till then."""
    def lose(n, losses):
        return losses | {"cycle_A": losses["cycle_A"] * float("nan" if n == 2 else 1)}

    with pytest.raises(InputError, match=r"cycle_A is not finite at step 4, so training stopped "
                       r"there.* Start a new run with a smaller --lr\."):
        train(Config(**settings | dict(log_every=4)), tmp_path / "run", make_model=watched(lose))
    assert load_checkpoint(tmp_path / "run")["step"] == 0


def test_a_weight_that_is_no_number_is_not_saved(settings, tmp_path):
    def spoil(config, precision):
        model = make_model(config, precision)
        step = model.step

        def spoiling(real_A, real_B):
            losses = step(real_A, real_B)
            next(model.D_A.parameters()).data[0] = float("inf")
            return losses
        model.step = spoiling
        return model

    with pytest.raises(InputError, match="a weight of D_A is not finite at step 1"):
        train(Config(**settings | dict(save_seconds=0.0)), tmp_path / "run", make_model=spoil)
    assert load_checkpoint(tmp_path / "run")["step"] == 0


def test_fakes_that_look_wrong_are_mentioned_once(settings, tmp_path, capsys):
    def inverted(config, precision):
        model = make_model(config, precision)
        model.G_AB.forward = lambda image: -image * model.G_AB.layers[1].weight.mean() ** 0
        return model

    train(Config(**settings | dict(sample_every=1)), tmp_path / "run", stop_after=2,
          make_model=inverted)
    assert capsys.readouterr().err.count("step 1: light and dark have changed places") == 1
    assert "step 2:" not in capsys.readouterr().err


def test_more_to_a_batch_than_there_are_images(settings, tmp_path):
    with pytest.raises(InputError, match="--batch 8 is more than the 7 images"):
        train(Config(**settings | dict(batch=8)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_does_not_fit_into_memory(settings, tmp_path):
    def raising(text):
        def at(n, losses):
            raise RuntimeError(text)
        return watched(at)

    config = Config(**settings | dict(batch=3))
    with pytest.raises(InputError, match="--batch 3 at --size 16 does not fit into the memory"):
        train(config, tmp_path / "full",
              make_model=raising("DefaultCPUAllocator: can't allocate memory: 9 bytes"))
    assert load_checkpoint(tmp_path / "full")["step"] == 0
    with pytest.raises(RuntimeError, match="shapes"):  # a fault of ours is not explained away
        train(config, tmp_path / "broken", make_model=raising("shapes do not match"))


def test_in_a_thread_and_everything_as_it_was_found(settings, tmp_path, monkeypatch):
    """A notebook may train in a thread, where signals cannot be handled."""
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr("minicyclegan.engine.device.allowed_threads", lambda: 1)
    torch.set_num_threads(2)
    torch.backends.cudnn.benchmark, results = False, []
    try:
        thread = threading.Thread(target=lambda: results.append(
            train(Config(**settings), tmp_path / "run", stop_after=1)))
        thread.start()
        thread.join()
        assert results == [0]
        assert train(Config(**settings), tmp_path / "again", stop_after=1) == 0
        assert torch.get_num_threads() == 2 and not torch.backends.cudnn.benchmark
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    finally:
        torch.set_num_threads(1)


def test_the_second_ctrl_c_ends_at_once(settings, tmp_path):
    def twice(n, losses):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(Config(**settings), tmp_path / "run", make_model=watched(twice))
    assert signal.getsignal(signal.SIGINT) == handler
    assert resume(tmp_path / "run", stop_after=1) == 0


def test_ctrl_c_while_it_is_scored_ends_at_once(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("minicyclegan.lab.report.write_report",
                        lambda run: os.kill(os.getpid(), signal.SIGINT) or time.sleep(0.01))
    with pytest.raises(KeyboardInterrupt):
        train(Config(**settings), tmp_path / "run")
    assert load_checkpoint(tmp_path / "run")["step"] == settings["steps"]


def test_a_new_run_from_the_networks_of_another(settings, tmp_path, capsys):
    """--init: a run, an export, the authors' files; learning rate and length are new."""
    from minicyclegan.engine.pretrained import export_generators
    first, settings = tmp_path / "first", settings | dict(upsample="transpose")  # as the authors
    assert train(Config(**settings), first, stop_after=4) == 0
    export_generators(first, tmp_path / "export.pt")
    weights = load_checkpoint(first)["networks"]
    authors = tmp_path / "authors"
    authors.mkdir()
    for ours, theirs in (("G_AB", "G_A"), ("D_B", "D_A")):
        torch.save(weights[ours], authors / f"latest_net_{theirs}.pth")
    for source, taken, fresh in ((first, "D_A, D_B, G_AB, G_BA", None),
                                 (tmp_path / "export.pt", "G_AB, G_BA", "D_A, D_B"),
                                 (authors, "D_B, G_AB", "D_A, G_BA"),
                                 (authors / "latest_net_G_A.pth", "G_AB", "D_A, D_B, G_BA")):
        capsys.readouterr()
        config = Config(**settings | dict(init=str(source), lr=1e-9, lr_D=1e-9, seed=5))
        out = tmp_path / f"from {source.name}"
        assert train(config, out, stop_after=1) == 0
        said = f"{taken} from {source}" + (f"; {fresh} fresh\n" if fresh else "\n")
        assert said in capsys.readouterr().out
        begun = load_checkpoint(out)["networks"]
        for name, network in begun.items():
            near = all(torch.allclose(w, weights[name][k], atol=1e-6) for k, w in network.items())
            assert near == (name in taken), name
        assert resume(out, stop_after=1) == 0
    with pytest.raises(InputError, match="another architecture"):
        train(Config(**settings | dict(init=str(first), width=3)), tmp_path / "no")


def test_an_unfinished_run_has_its_options(settings, tmp_path):
    train(Config(**settings), tmp_path / "run", stop_after=1)
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == asdict(Config(**settings))


def test_the_folder_is_free_after_an_error(settings, tmp_path):
    with Run(tmp_path) as run:
        run.hold()
        assert not list(tmp_path.iterdir())  # no run's folder
        (tmp_path / "config.json").touch()
        run.hold()
        with pytest.raises(InputError, match="another process"):
            lock(tmp_path)
    lock(tmp_path).close()


@pytest.mark.slow
@pytest.mark.parametrize("script", [["kill.py", "--kills", "6"], ["soak.py", "--steps", "4000"]])
def test_killed_and_soaked(script):
    result = subprocess.run([sys.executable, Path(__file__).parent.parent / script[0],
                             *script[1:]], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]

