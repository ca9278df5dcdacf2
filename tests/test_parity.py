"""The authors' implementation, step for step, in float64.

The fixtures hold its initial weights, its batches, its losses of each step and its final weights.
Their G_A maps A to B, so it is our G_AB; their D_A judges domain B, so it is our D_B. Their losses
carry their weights. MINICYCLEGAN_PARITY names other fixtures (paths joined by os.pathsep).
"""

import os
from pathlib import Path

import pytest
import torch

from minicyclegan import CycleGAN, Discriminator, Generator, load_reference

HERE = sorted(map(str, (Path(__file__).parent / "data").glob("step_*.pt")))
FIXTURES = [p for p in os.environ.get("MINICYCLEGAN_PARITY", "").split(os.pathsep) if p] or HERE
OURS = {"G_A": "G_AB", "G_B": "G_BA", "D_A": "D_B", "D_B": "D_A"}
KINDS = {"lsgan": "least_squares", "vanilla": "log"}
TOLERANCE = dict(atol=1e-10, rtol=0)


def networks(fixture, state):
    """Our networks by our names, filled with the fixture's weights."""
    config = fixture["config"]
    made = {}
    for theirs, weights in state.items():
        network = (Generator(config["width"], config["blocks"]) if theirs.startswith("G")
                   else Discriminator(config["disc_width"]))
        made[OURS[theirs]] = load_reference(network.double(), weights)
    return made


@pytest.mark.parametrize("together", [True, False], ids=["together", "plain"])
@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: Path(path).stem)
def test_same_losses_and_weights(path, together):
    fixture = torch.load(path, weights_only=True)
    config = fixture["config"]
    ours = networks(fixture, fixture["initial"])
    for network in ours.values():
        assert all(p.dtype == torch.float64 for p in network.parameters())

    with torch.no_grad():
        forward = fixture["forward"]
        fake_B, fake_A = ours["G_AB"](fixture["real_A"][0]), ours["G_BA"](fixture["real_B"][0])
        assert torch.allclose(fake_B, forward["fake_B"], **TOLERANCE)
        assert torch.allclose(fake_A, forward["fake_A"], **TOLERANCE)
        judge_B, judge_A = ours["D_B"](fixture["real_B"][0]), ours["D_A"](fixture["real_A"][0])
        assert torch.allclose(judge_B, forward["judge_B"], **TOLERANCE)
        assert torch.allclose(judge_A, forward["judge_A"], **TOLERANCE)

    lambda_A, lambda_B = config["lambda_A"], config["lambda_B"]
    model = CycleGAN(**ours, adversarial=KINDS[config["gan_mode"]], lambda_cycle_A=lambda_A,
                     lambda_cycle_B=lambda_B, lambda_identity=config["lambda_identity"],
                     pool_size=config["pool_size"], lr=config["lr"], betas=config["betas"],
                     together=together)
    for real_A, real_B, expected in zip(fixture["real_A"], fixture["real_B"], fixture["losses"],
                                        strict=True):
        named = {k: v.item() for k, v in model.step(real_A, real_B).items()}
        weighted = {
            "G_A": named["adversarial_B"], "G_B": named["adversarial_A"],
            "D_A": named["discriminator_B"], "D_B": named["discriminator_A"],
            "cycle_A": lambda_A * named.get("cycle_A", 0),
            "cycle_B": lambda_B * named.get("cycle_B", 0),
            "idt_A": lambda_B * config["lambda_identity"] * named.get("identity_B", 0),
            "idt_B": lambda_A * config["lambda_identity"] * named.get("identity_A", 0),
        }
        assert weighted == pytest.approx(expected, abs=1e-10, rel=0)

    for name, network in networks(fixture, fixture["final"]).items():
        trained = getattr(model, name).state_dict()
        for key, value in network.state_dict().items():
            assert torch.allclose(trained[key], value, **TOLERANCE), f"{name}.{key}"


def test_the_fixtures_can_tell():
    """A slightly different step must not pass: the tolerance is not a blank cheque."""
    fixture = torch.load(HERE[0], weights_only=True)
    for settings in (dict(lambda_identity=0.0), dict(adversarial="log"), dict(lr=1e-4)):
        config = dict(adversarial="least_squares", lambda_identity=0.5, lr=2e-4) | settings
        model = CycleGAN(**networks(fixture, fixture["initial"]), pool_size=0, **config)
        for real_A, real_B in zip(fixture["real_A"], fixture["real_B"], strict=True):
            model.step(real_A, real_B)
        final = networks(fixture, fixture["final"])
        assert any(not torch.allclose(getattr(model, name).state_dict()[k], v, **TOLERANCE)
                   for name, network in final.items() for k, v in network.state_dict().items())
