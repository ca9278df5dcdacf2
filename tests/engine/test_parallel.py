"""Two processes on the CPU, started by torchrun as a user would."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import OPTIONS
from two_processes import steps

from minicyclegan.__main__ import main
from minicyclegan.config import Config
from minicyclegan.engine import parallel
from minicyclegan.engine.checkpoint import load_checkpoint
from minicyclegan.engine.run import Run

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]


def start(*arguments):
    return subprocess.Popen([*TORCHRUN, *map(str, arguments)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*arguments):
    process = start(*arguments)
    out, err = process.communicate(timeout=500)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What two processes computed, of both kinds of model."""
    file = tmp_path_factory.mktemp("two") / "two.pt"
    code, _, err = run(Path(__file__).parent / "two_processes.py", file)
    assert code == 0, err
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("kind", ["cyclegan", "one_way"])
def test_two_processes_do_what_one_does_with_a_batch_twice_as_large(kind, results):
    two = results[kind]
    _, one = steps(kind == "one_way")
    for part in ("weights", "losses"):
        assert one[part].keys() == two[part].keys()
        for name, value in one[part].items():
            assert torch.allclose(value, two[part][name], atol=1e-12, rtol=0), name
    for domain, pool in one["pools"].items():
        assert len(pool["images"]) == 6  # full, so that old fakes have come back
        other = two["pools"][domain]
        assert torch.allclose(pool["images"], other["images"], atol=1e-12, rtol=0)
        assert torch.equal(pool["generator"], other["generator"])


@pytest.fixture(scope="module")
def two(photos, tmp_path_factory):
    """A run of four steps by two processes."""
    out = tmp_path_factory.mktemp("parallel") / "run"
    code, text, err = run("-m", "minicyclegan", "train", "--data", photos, "--out", out,
                          *OPTIONS, "--batch", 1)
    assert code == 0, err
    return out, text


@pytest.mark.slow
def test_a_run_by_two_processes(two, photos, tmp_path, capsys):
    out, text = two
    assert text.count("2 pairs a step from 2 processes") == 1
    assert text.count("look at") == 1  # process 0 speaks for all
    assert main(["train", "--data", str(photos), "--out", str(tmp_path / "one"), *OPTIONS,
                 "--batch", "2"]) == 0
    assert "2 pairs a step\n" in capsys.readouterr().out
    assert (sorted(p.name for p in out.rglob("*"))
            == sorted(p.name for p in (tmp_path / "one").rglob("*")))
    one, other = load_checkpoint(tmp_path / "one"), load_checkpoint(out)
    assert one["step"] == other["step"] == 4 and one["batch"] == other["batch"] == 2
    for name, weights in one["networks"].items():
        assert weights.keys() == other["networks"][name].keys()  # no "module."
    logs = [(folder / "log.csv").read_text().split()[1].split(",")
            for folder in (out, tmp_path / "one")]
    assert list(map(float, logs[0])) == pytest.approx(list(map(float, logs[1])), rel=0.05)


@pytest.mark.slow
def test_another_number_of_processes_keeps_the_batch(two, monkeypatch, capsys):
    out, _ = two
    assert main(["train", "--resume", str(out)]) == 0
    assert "2 pairs a step\n" in capsys.readouterr().out
    monkeypatch.setattr(parallel, "processes", lambda: 3)
    assert main(["train", "--resume", str(out)]) == 2
    assert "2 pairs a step, which 3 processes cannot share" in capsys.readouterr().err


def test_a_signal_while_the_processes_agree_is_kept(monkeypatch, tmp_path):
    """It comes after this process has said 0, before the answer is there: the next time counts."""
    run = Run(tmp_path)
    run.config = Config()  # a line of the log is due at step 0
    said = []

    def largest(number):
        said.append(number)
        if len(said) == 1:
            run.ask(signal.SIGINT, None)
        return number

    monkeypatch.setattr(parallel, "processes", lambda: 2)
    monkeypatch.setattr(parallel, "largest", largest)
    assert [run.stop_asked(), run.stop_asked()] == [False, True]
    assert run.asked == signal.SIGINT and said == [0, signal.SIGINT]


def children(pid):
    text = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True,
                          text=True).stdout
    return list(map(int, text.split()))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_one_goes_all_go(number, photos, tmp_path):
    """One process dies: the other says so and leaves. One is stopped: both stop at the same step
    and save. In either case the run can go on."""
    endless = [*OPTIONS, "--steps", 10**6, "--batch", 1, "--save-seconds", 0]
    process = start("-m", "minicyclegan", "train", "--data", photos, "--out", tmp_path / "run",
                    *endless)
    log = tmp_path / "run" / "log.csv"
    while not (log.exists() and log.stat().st_size > 100):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    began = time.monotonic()
    os.kill(children(process.pid)[1], number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and time.monotonic() - began < 60
    if number == signal.SIGKILL:
        assert f"lost the others, one of them died; start all again with --resume {tmp_path}" in err
    else:
        assert f"minicyclegan train --resume {tmp_path / 'run'}" in err
    assert load_checkpoint(tmp_path / "run")["step"] >= 1
