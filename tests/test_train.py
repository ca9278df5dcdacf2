"""The loop: what it trains with, what it computes, and what of one's own goes in."""

import csv
import json
from dataclasses import fields

import pytest
import torch
from conftest import TINY, TOY_SET

from minicyclegan import CycleGAN, InputError, load_generator, make_model
from minicyclegan.config import Config
from minicyclegan.engine.checkpoint import load_checkpoint
from minicyclegan.engine.pretrained import export_generators
from minicyclegan.train import learning_rate_factor, resume, train
from minicyclegan.translate import start_from


def trained(config, out, steps=3):
    """The weights of a run after some steps, by name."""
    assert train(config, out, stop_after=steps) == 0
    return {f"{name}.{key}": value for name, weights in load_checkpoint(out)["networks"].items()
            for key, value in weights.items() if not name.startswith("average")}


def differ(one, other):
    return one.keys() != other.keys() or any(
        one[k].shape != other[k].shape or not torch.equal(one[k], other[k]) for k in one)


def read_log(run):
    with open(run / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("epoch, factor", [(1, 1), (100, 1), (101, 100 / 101), (151, 50 / 101),
                                           (200, 1 / 101)])
def test_schedule_of_the_paper(epoch, factor):
    # Twice off elsewhere: the fall begins an epoch early, or the last epoch trains with 0.
    assert learning_rate_factor(epoch, 200, 100) == pytest.approx(factor)


def recording(rates):
    """A make_model whose model notes the learning rates of each step."""
    class Noting(CycleGAN):
        def step(self, real_A, real_B):
            rates.append([self.optimizers[k].param_groups[0]["lr"] for k in "GD"])
            return super().step(real_A, real_B)

    def noting(config, precision):
        model = make_model(config, precision)
        model.__class__ = Noting
        return model
    return noting


@pytest.mark.parametrize("length, lr_D", [(dict(steps=0, epochs=4), 0.0), (dict(steps=28), 5e-4)])
def test_the_schedule_is_obeyed(length, lr_D, photos, tmp_path):
    """By epochs (7 steps each here) and by steps; the optimizers get it, and the log says it."""
    config = Config(**TINY | dict(data=str(photos), batch=1, log_every=1, lr_D=lr_D) | length)
    rates = []
    train(config, tmp_path / "run", make_model=recording(rates))
    per = 7 if config.epochs else 1
    expected = [min(1, (28 / per + 1 - k) / (28 / per / 2 + 1))
                for k in (step // per + 1 for step in range(28))]
    for i, lr in enumerate((1e-3, lr_D or 1e-3)):
        assert [r[i] for r in rates] == pytest.approx([lr * factor for factor in expected])
    assert [float(r["lr"]) for r in read_log(tmp_path / "run")] == pytest.approx(
        [r[0] for r in rates], rel=1e-5)


# Every option that is said to change the mathematics, with another value.
FLIPPED = dict(
    size=20, zoom=1.5, flip=False, channels=1, model="one_way", generator="unet", width=3,
    blocks=2, upsample="transpose", disc_width=3, disc_depth=1, adversarial="least_squares",
    reconstruction="L2", lambda_adversarial=0.5, lambda_cycle_A=7.0, lambda_cycle_B=7.0,
    lambda_identity=0.7, pool_size=0, steps=5, flat=0.0, batch=1, lr=1e-4, lr_D=1e-4, disc_steps=2,
    beta1=0.9, beta2=0.9, seed=1, precision="bf16")
SAME = dict(average=0.9, device="cpu", workers=1, log_every=1, sample_every=100, save_seconds=1.0,
            keep_every=2, pairs=False)


def test_every_option_is_looked_at():
    others = {"data", "compile", "skip_bad", "init", "epochs"}  # these have tests of their own
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


def test_epochs_have_an_effect(plain, tmp_path):
    settings, _ = plain
    short, long = (trained(Config(**settings | dict(steps=0, epochs=n, flat=0.0)),
                           tmp_path / str(n)) for n in (2, 3))
    assert differ(short, long)


def test_the_same_seed_gives_the_same_run(plain, tmp_path):
    settings, weights = plain
    torch.manual_seed(99)  # whatever was drawn before
    expected = torch.rand(3)
    torch.manual_seed(99)
    assert not differ(weights, trained(Config(**settings), tmp_path / "again"))
    assert torch.equal(torch.rand(3), expected)  # and nobody else's numbers are touched


def test_the_log_holds_means(plain, tmp_path):
    """A line covers the steps since the line before it, not the last of them alone."""
    settings, _ = plain
    rows = {}
    for every in (1, 4):
        trained(Config(**settings | dict(log_every=every)), tmp_path / str(every), 8)
        rows[every] = [float(r["cycle_A"]) for r in read_log(tmp_path / str(every))]
    assert rows[4] == pytest.approx([sum(rows[1][:4]) / 4, sum(rows[1][4:]) / 4], rel=1e-4)


class KeepGray(CycleGAN):
    """A fork: one more loss."""

    def generator_half(self, real_A, real_B):
        total, named, fakes = super().generator_half(real_A, real_B)
        gray = (self.G_AB(real_A).mean(1) - real_A.mean(1)).abs().mean()
        return total + gray, named | {"gray_B": gray.detach()}, fakes


class Shift(torch.nn.Module):
    """A generator of one's own."""

    def __init__(self):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.zeros(3, 1, 1))

    def forward(self, image):
        return image + self.shift


def forked(config, precision="fp32"):
    D_A, D_B = (getattr(make_model(config), name) for name in ("D_A", "D_B"))
    return KeepGray(Shift(), Shift(), D_A, D_B, precision=precision)


def test_a_step_and_a_generator_of_ones_own(photos, tmp_path):
    """By an argument, nothing replaced: trained, resumed, translated with."""
    config, run = Config(**TINY | dict(data=str(photos))), tmp_path / "run"
    assert train(config, run, stop_after=2, make_model=forked) == 0
    assert resume(run, make_model=forked) == 0
    assert "gray_B" in read_log(run)[0]
    generator, _ = load_generator(run, "B", make_model=forked)
    assert isinstance(generator, Shift) and generator.shift.abs().max() > 0
    with pytest.raises(InputError, match="make_model"):
        load_generator(run, "B")


def test_a_step_of_ones_own_has_the_options_of_the_run():
    class Calm(CycleGAN):
        pass

    model = make_model(Config(lambda_cycle_A=7.0, width=4), kind=Calm)
    assert isinstance(model, Calm) and model.lambda_cycle_A == 7


def test_a_network_more_needs_its_make_model(photos, tmp_path):
    def larger(config, precision="fp32"):
        model = make_model(config, precision)
        model.critic = torch.nn.Linear(1, 1)
        return model

    config, run = Config(**TINY | dict(data=str(photos))), tmp_path / "run"
    assert train(config, run, stop_after=1, make_model=larger) == 0
    load_generator(run, "B", make_model=larger)
    with pytest.raises(InputError, match="holds no critic that fits.* make_model"):
        load_generator(run, "B")


def test_averages_are_what_one_translates_with(photos, tmp_path):
    config = Config(**TINY | dict(data=str(photos), average=0.5, steps=9))
    train(config, tmp_path / "run", stop_after=3)
    networks = load_checkpoint(tmp_path / "run")["networks"]
    G_AB, _ = load_generator(tmp_path / "run", "B")
    for key, weight in G_AB.state_dict().items():
        assert torch.equal(weight, networks["average_G_AB"][key])
    export_generators(tmp_path / "run", tmp_path / "export.pt", half=True)
    exported, _ = load_generator(tmp_path / "export.pt", "B")
    image = torch.rand(1, 3, 16, 16)
    assert torch.allclose(exported(image), G_AB(image), atol=1e-3)
    assert resume(tmp_path / "run", stop_after=1) == 0
    init = Config(**TINY | dict(data=str(photos), average=0.5, init=str(tmp_path / "export.pt")))
    assert train(init, tmp_path / "next", stop_after=1) == 0


def test_averages_have_the_buffers_of_a_generator_of_ones_own():
    model = make_model(Config(**TINY | dict(average=0.5)))
    for G in (model.G_AB, model.G_BA, model.average_G_AB, model.average_G_BA):
        G.register_buffer("seen", torch.zeros(()))
    model.G_AB.seen += 3
    model.step(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))
    assert model.average_G_AB.seen == 3 and model.average_G_BA.seen == 0


def test_averages_begin_with_what_they_are_averages_of(tmp_path, capsys):
    """Where --init has none: here a folder of the authors' files."""
    config = Config(**TINY | dict(generator="resnet", upsample="transpose", average=0.5))
    theirs, model = make_model(config), make_model(config)
    torch.save(theirs.G_AB.state_dict(), tmp_path / "latest_net_G_A.pth")
    start_from(model, tmp_path)
    assert f"G_AB, average_G_AB from {tmp_path}; D_A, D_B, G_BA, average_G_BA fresh" in (
        capsys.readouterr().out)
    for key, weight in theirs.G_AB.state_dict().items():
        assert torch.equal(model.average_G_AB.state_dict()[key], weight)


@pytest.mark.slow
def test_it_learns(tmp_path):
    """A part of the default run is enough to leave "doing nothing" behind, both ways."""
    assert train(Config(data=str(TOY_SET), steps=300, sample_every=300), tmp_path / "run") == 0
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["images"] == 60
    for way, share in (("A_to_B", 0.85), ("B_to_A", 0.5)):
        assert scores[way]["ours"]["mae"] < share * scores[way]["nothing"]["mae"], way
