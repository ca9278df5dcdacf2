from pathlib import Path

import pytest
import torch
from conftest import TINY

from minicyclegan import InputError
from minicyclegan.config import Config
from minicyclegan.engine.device import (
    allowed_threads,
    for_training,
    free_memory,
    pick_device,
    pick_precision,
)
from minicyclegan.train import train

CPU = torch.device("cpu")


def test_devices():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("quantum", "cuda:99"):
        with pytest.raises(InputError, match=f"--device {name} does not work"):
            pick_device(name)


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


def test_threads_are_limited_to_what_a_container_may_use(monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for text, threads in (("max 100000", 2), ("400000 100000", 4), ("150000 100000", 1),
                              ("50000 100000", 1)):
            monkeypatch.setattr(Path, "read_text", lambda self, text=text: text)
            assert allowed_threads() == threads
            with for_training():
                assert torch.get_num_threads() == min(2, threads)
            assert torch.get_num_threads() == 2  # as it was found
    finally:
        torch.set_num_threads(before)


def test_free_memory_is_known_on_linux():
    assert 1e6 < free_memory(CPU) < 1e15


def test_without_a_compiler_it_goes_on(photos, tmp_path, monkeypatch, capsys):
    def missing(*_, **__):
        raise RuntimeError("InvalidCxxCompiler: no working C++ compiler found\nin sight")

    monkeypatch.setattr(torch, "compile", missing)
    config = Config(**TINY | dict(data=str(photos), compile=True, steps=2))
    assert train(config, tmp_path / "run") == 0
    assert ("torch.compile does not work here (InvalidCxxCompiler: no working C++ compiler found)"
            "; going on without") in capsys.readouterr().out


@pytest.mark.slow
def test_compiled_training_is_the_same_but_for_rounding(photos, tmp_path, capsys):
    """Samples, scores and checkpoints know nothing of it; the names of the weights stay."""
    logs = []
    for compile in (False, True):
        out = tmp_path / str(compile)
        train(Config(**TINY | dict(data=str(photos), compile=compile, log_every=1)), out)
        logs.append([float(v) for v in (out / "log.csv").read_text().splitlines()[1].split(",")])
    assert "going on without" not in capsys.readouterr().out
    assert logs[0] == pytest.approx(logs[1], rel=1e-3)
    plain, compiled = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["networks"]
                       for name in ("False", "True"))
    assert {n: list(w) for n, w in plain.items()} == {n: list(w) for n, w in compiled.items()}
