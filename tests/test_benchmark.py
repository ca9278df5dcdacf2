"""That the benchmark compares like with like; how fast things are is no matter for a test."""

import json
import subprocess
import sys
from pathlib import Path

import benchmark
import pytest
import torch
from benchmark import PlainStep, count_flops, preset
from conftest import small_networks

from minicyclegan import CycleGAN, make_model
from minicyclegan.config import Config
from minicyclegan.train import train

SCRIPT = Path(__file__).parent / "benchmark.py"


def test_the_plain_step_is_the_same_step(batch):
    """Float64: the plain step and ours end with the same weights."""
    plain, ours = PlainStep(**small_networks()), CycleGAN(**small_networks(), lambda_identity=0.5)
    for _ in range(3):
        plain.step(*batch)
        ours.step(*batch)
    for name, network in ours.named_children():
        for key, value in network.state_dict().items():
            other = getattr(plain, name).state_dict()[key]
            assert torch.allclose(value, other, atol=1e-10, rtol=0), f"{name}.{key}"


def test_operations_are_counted():
    """Against the sum over the layers: pixels out × kernel × channels in × channels out, twice."""
    G = 2 * (2 * 64**2 * 9 * 3 * 16  # first and last
             + 32**2 * 9 * 16 * 32 + 16**2 * 9 * 32 * 64 + 8**2 * 9 * 64 * 128  # down
             + 2 * 8**2 * 9 * 128 * 128  # the block at the bottom
             + 16**2 * 9 * 192 * 64 + 32**2 * 9 * 96 * 32 + 64**2 * 9 * 48 * 16)  # up, with skips
    D = 2 * (32**2 * 16 * 3 * 32 + 16**2 * 16 * 32 * 64 + 15**2 * 16 * 64 * 128
             + 14**2 * 16 * 128)
    # Forward and twice backward for six calls of G, and for the four of D that it learns from; no
    # gradient of D's weights in the other two.
    expected = 6 * 3 * G + (4 * 3 + 2 * 2) * D
    assert count_flops(64, preset(64)) == pytest.approx(expected, rel=0.05)


def test_quality_is_that_of_the_default_run(photos, tmp_path, monkeypatch):
    """The same steps as `train` takes: the rates of G and of D, falling."""
    config = Config(data=str(photos), size=16, width=2, disc_width=2, steps=4, device="cpu")
    models = []

    def keep(*args):
        models.append(make_model(*args))
        return models[-1]

    train(config, tmp_path / "run", make_model=keep)
    monkeypatch.setattr(benchmark, "make_model", keep)
    monkeypatch.setattr(benchmark, "PairedImages", lambda *_: None)  # and so no scores
    monkeypatch.setattr(benchmark, "evaluate", lambda *_: ({way: {"ours": {"mae": 99.0}}
                                                           for way in benchmark.GOAL}, None))
    row = benchmark.train_to_quality(config, models[0].precision, torch.device("cpu"))
    assert row["pairs"] == 4 and not row["reached"]
    one, other = (model.state_dict() for model in models)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_what_it_writes(tmp_path):
    result = subprocess.run(
        [sys.executable, SCRIPT, "--size", "24", "--batch", "2", "--seconds", "0",
         "--device", "cpu", "--json", tmp_path / "b.json"],
        capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert rows[0]["name"] == "plain step" and rows[0]["ratio"] == 1
    for row in rows:
        assert {"name", "device", "size", "batch", "width", "blocks", "precision",
                "pairs_per_second", "ratio", "peak_memory_mb", "roofline_fraction"} <= row.keys()
        assert row["pairs_per_second"] > 0 and 0 < row["roofline_fraction"] < 1
        assert f"| {row['name']} | {row['batch']} |" in result.stdout


def test_bad_input_gets_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--size", "30"])
    with pytest.raises(SystemExit) as stop:
        benchmark.main()
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == ""
    assert err.startswith("benchmark.py: --size must be a multiple of 4")
    assert len(err.splitlines()) == 1
