"""One optimisation step: who learns from what."""

import copy

import pytest
import torch

from minicyclegan import cyclegan, losses

VARIANTS = {  # the paper's, section 5.1.4
    "cycle alone": (dict(lambda_adversarial=0), {"cycle_A", "cycle_B"}),
    "GAN alone": (dict(lambda_cycle_A=0, lambda_cycle_B=0),
                  {"adversarial_A", "adversarial_B", "discriminator_A", "discriminator_B"}),
    "GAN + forward cycle": (dict(lambda_cycle_B=0), {
        "adversarial_A", "adversarial_B", "discriminator_A", "discriminator_B", "cycle_A"}),
    "GAN + backward cycle": (dict(lambda_cycle_A=0), {
        "adversarial_A", "adversarial_B", "discriminator_A", "discriminator_B", "cycle_B"}),
    "full": ({}, {"adversarial_A", "adversarial_B", "discriminator_A", "discriminator_B",
                  "cycle_A", "cycle_B"}),
}


def count_calls(model):
    calls = {}
    for name, network in model.named_children():
        network.register_forward_hook(
            lambda *_, name=name: calls.__setitem__(name, calls.get(name, 0) + 1))
    return calls


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_compute_what_they_need_and_no_more(variant, make_cyclegan, batch):
    settings, names = VARIANTS[variant]
    model = make_cyclegan(**settings)
    calls = count_calls(model)
    assert set(model.step(*batch)) == names
    cycles = sum(name.startswith("cycle") for name in names)
    assert calls["G_AB"] + calls["G_BA"] == 2 + cycles
    assert calls.get("D_A", 0) == calls.get("D_B", 0) == (0 if variant == "cycle alone" else 2)


@pytest.mark.parametrize("together, each", [(True, 2), (False, 3)])
def test_identity_costs_no_call(together, each, make_cyclegan, batch):
    model = make_cyclegan(lambda_identity=0.5, together=together)
    calls = count_calls(model)
    assert {"identity_A", "identity_B"} < set(model.step(*batch))
    assert calls == {"G_AB": each, "G_BA": each, "D_A": each, "D_B": each}


def test_one_way(make_one_way, batch):
    model = make_one_way()
    calls, before = count_calls(model), copy.deepcopy(model.state_dict())
    assert set(model.step(*batch)) == {"adversarial_B", "cycle_A", "discriminator_B"}
    assert calls == {"G_AB": 1, "G_BA": 1, "D_B": 2}
    assert all(not torch.equal(before[k], v) for k, v in model.state_dict().items()
               if k.endswith("weight"))


def test_one_way_is_one_half_of_the_ring(make_one_way, make_cyclegan, batch):
    half = make_one_way(pool_size=0).step(*batch)
    ring = make_cyclegan(pool_size=0).step(*batch)
    assert all(torch.equal(half[name], ring[name]) for name in half)


@pytest.mark.parametrize("cycle", ["A", "B"])
def test_a_cycle_loss_reaches_both_generators(cycle, make_cyclegan, batch):
    weights = {"lambda_cycle_A": 0, "lambda_cycle_B": 0, f"lambda_cycle_{cycle}": 10.0}
    model = make_cyclegan(lambda_adversarial=0, **weights)
    model.step(*batch)
    for generator in (model.G_AB, model.G_BA):
        assert all(p.grad is not None and p.grad.abs().max() > 0
                   for n, p in generator.named_parameters() if n.endswith("weight"))


@pytest.mark.parametrize("kind", ["cyclegan", "one_way"])
def test_each_half_of_the_step_trains_its_own(kind, make_cyclegan, make_one_way, batch,
                                              monkeypatch):
    model = make_cyclegan() if kind == "cyclegan" else make_one_way()
    G = [p for n, p in model.named_parameters() if n.startswith("G_")]
    D = [p for n, p in model.named_parameters() if n.startswith("D_")]
    descend, turns = cyclegan.descend, []

    def watched(optimizer, loss):
        mine, others = (G, D) if optimizer is model.optimizers["G"] else (D, G)
        turns.append("G" if optimizer is model.optimizers["G"] else "D")
        for p in G + D:
            p.grad = None
        before = [p.detach().clone() for p in others], [p.detach().clone() for p in mine]
        descend(optimizer, loss)
        assert all(p.grad is None for p in others)  # no .detach() forgotten, no gradient wasted
        assert all(torch.equal(a, b) for a, b in zip(before[0], others, strict=True))
        assert any(not torch.equal(a, b) for a, b in zip(before[1], mine, strict=True))

    monkeypatch.setattr(cyclegan, "descend", watched)
    model.step(*batch)
    model.step(*batch)
    assert turns == ["G", "D", "G", "D"]
    assert all(p.requires_grad for p in G + D)


@pytest.mark.parametrize("names", [["G_AB"], ["D_B"], ["D_A", "D_B"], ["G_AB", "G_BA"]])
def test_frozen_weights_stay_frozen(names, make_cyclegan, batch):
    """Whoever sets requires_grad to False means it: no step sets it back, or trains them."""
    model = make_cyclegan()
    for name in names:
        getattr(model, name).requires_grad_(False)
    model.G_BA.layers[1].weight.requires_grad_(False)  # one layer alone
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    before = copy.deepcopy(model.state_dict())
    model.step(*batch)
    model.step(*batch)
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags
    for name, p in model.named_parameters():
        if name.endswith("weight"):
            assert torch.equal(p, before[name]) != flags[name], name


def test_a_step_that_fails_leaves_the_flags(make_cyclegan, batch):
    model = make_cyclegan()
    with pytest.raises(ValueError):
        model.step(batch[0][..., :15], batch[1])
    assert all(p.requires_grad for p in model.parameters())


def test_a_discriminator_with_a_rate_of_its_own(make_cyclegan, batch):
    fast, slow = make_cyclegan(lr=1e-3), make_cyclegan(lr=1e-3, lr_D=1e-4)
    before = copy.deepcopy(slow.state_dict())
    for model in (fast, slow):
        model.step(*batch)
    for name, p in slow.named_parameters():
        moved = (p - before[name]).abs().max()
        if name.endswith("weight"):  # Adam's first step is as long as the rate
            assert moved.item() == pytest.approx(1e-4 if name.startswith("D_") else 1e-3, rel=0.01)
    assert all(torch.equal(p, fast.state_dict()[name]) for name, p in slow.named_parameters()
               if name.startswith("G_"))


def test_several_steps_of_the_discriminators_for_one_of_the_generators(make_cyclegan, batch):
    model = make_cyclegan(disc_steps=3)
    model.step(*batch)
    taken = {name: {int(state["step"]) for state in optimizer.state.values()}
             for name, optimizer in model.optimizers.items()}
    assert taken == {"G": {1}, "D": {3}}


class Same(torch.nn.Module):
    """A generator that changes nothing: its losses can be told in advance."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale, dtype=torch.float64))

    def forward(self, image):
        return self.scale * image


def test_generators_that_change_nothing(make_cyclegan, batch):
    settings = dict(lambda_adversarial=0, lambda_identity=0.5)
    networks = dict(make_cyclegan().named_children()) | {"G_AB": Same(), "G_BA": Same()}
    named = cyclegan.CycleGAN(**networks, **settings).step(*batch)
    assert {k: v.item() for k, v in named.items()} == dict.fromkeys(
        ("cycle_A", "cycle_B", "identity_A", "identity_B"), 0.0)


def test_each_loss_sees_the_right_images(make_cyclegan, batch):
    """G_AB = 2x and G_BA = 3x tell apart which generator was shown which domain, and in order."""
    real_A, real_B = batch
    networks = dict(make_cyclegan().named_children()) | {"G_AB": Same(2.0), "G_BA": Same(3.0)}
    D_A, D_B = copy.deepcopy(networks["D_A"]), copy.deepcopy(networks["D_B"])
    named = cyclegan.CycleGAN(**networks, lambda_identity=0.5).step(real_A, real_B)
    with torch.no_grad():
        expected = {
            "identity_B": real_B.abs().mean(),  # |2b - b|: G_AB was shown real_B
            "identity_A": 2 * real_A.abs().mean(),  # |3a - a|
            "cycle_A": 5 * real_A.abs().mean(),  # |6a - a|
            "cycle_B": 5 * real_B.abs().mean(),
            "adversarial_B": losses.adversarial(D_B(2 * real_A), True),
            "adversarial_A": losses.adversarial(D_A(3 * real_B), True),
            "discriminator_B": losses.discriminator(D_B(real_B), D_B(2 * real_A)),
            "discriminator_A": losses.discriminator(D_A(real_A), D_A(3 * real_B)),
        }
    assert set(named) == set(expected)
    for name, value in expected.items():
        assert named[name].item() == pytest.approx(value.item(), abs=1e-12), name


def test_weights_of_the_losses(make_cyclegan, batch):
    """The gradient is that of the weighted sum: identity's weight is a fraction of the cycle's."""
    networks = dict(make_cyclegan().named_children()) | {"G_AB": Same(2.0), "G_BA": Same(3.0)}
    model = cyclegan.CycleGAN(**networks, lambda_adversarial=0, lambda_cycle_A=4.0,
                              lambda_cycle_B=6.0, lambda_identity=0.5)
    a, b = (x.abs().mean().item() for x in batch)
    model.step(*batch)
    # d/ds of 4·|3s - 1|·a + 6·|3s - 1|·b + 0.5·6·|s - 1|·b at s = 2
    assert model.G_AB.scale.grad.item() == pytest.approx(4 * 3 * a + 6 * 3 * b + 3 * b)
    # the same for the other: 4·|2s - 1|·a + 6·|2s - 1|·b + 0.5·4·|s - 1|·a at s = 3
    assert model.G_BA.scale.grad.item() == pytest.approx(4 * 2 * a + 6 * 2 * b + 2 * a)


def test_the_discriminators_are_shown_old_fakes(make_cyclegan, batch):
    model = make_cyclegan(pool_size=2)
    shown = []
    model.D_B.register_forward_hook(lambda module, inputs, out: shown.append(inputs[0]))
    for _ in range(12):
        model.step(*batch)
    current = shown[0::2]  # G's turn: the fakes of this step
    pooled = [images[3:] for images in shown[1::2]]  # D's turn: real ones, then the pool's
    fresh = [sum(any(torch.equal(p, c) for c in now) for p in old)
             for now, old in zip(current, pooled, strict=True)]
    assert fresh[0] >= 2 and min(fresh[1:]) < 3
    early = torch.cat(current[:6])
    assert any(torch.equal(p, c) for p in torch.cat(pooled[6:]) for c in early)


def test_bf16_keeps_weights_and_losses_in_fp32(make_cyclegan, batch):
    real_A, real_B = (x.float() for x in batch)
    model = make_cyclegan(precision="bf16").float()
    seen = []
    model.G_AB.layers[1].register_forward_hook(lambda m, i, out: seen.append(out.dtype))
    named = model.step(real_A, real_B)
    assert seen == [torch.bfloat16] * 2
    assert {v.dtype for v in named.values()} == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_four_channels():
    """As a library, as many channels as one likes: the command line has 1 and 3."""
    from minicyclegan import Discriminator, UNet
    G, D = [UNet(2, channels=4) for _ in "AB"], [Discriminator(2, 1, channels=4) for _ in "AB"]
    real_A, real_B = torch.rand(2, 1, 4, 16, 16) * 2 - 1
    named = cyclegan.CycleGAN(*G, *D, lambda_identity=0.5).step(real_A, real_B)
    assert all(loss.isfinite() for loss in named.values()) and G[0](real_A).shape == real_A.shape


def test_averages_follow_the_weights(make_cyclegan, batch):
    """The other way round (mostly the new, a little of the old) has been seen elsewhere."""
    plain, model = make_cyclegan(), make_cyclegan(average=0.9)
    expected = copy.deepcopy(model.G_AB.state_dict())
    for _ in range(3):
        assert model.step(*batch).keys() == plain.step(*batch).keys()
        for key, weight in model.G_AB.state_dict().items():
            expected[key] = 0.9 * expected[key] + 0.1 * weight
    for key, weight in model.generators()[0].state_dict().items():
        assert torch.allclose(weight, expected[key], atol=1e-12), key
        assert torch.equal(model.G_AB.state_dict()[key], plain.G_AB.state_dict()[key])
    assert plain.generators() == (plain.G_AB, plain.G_BA)
