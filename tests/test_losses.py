"""Every loss against figures worked out by hand."""

from math import exp, log

import pytest
import torch

from minicyclegan import losses

scores = torch.tensor([[0.0, 2.0], [-1.0, 0.5]])


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_least_squares():
    real = (1 + 1 + 4 + 0.25) / 4
    fake = (0 + 4 + 1 + 0.25) / 4
    assert losses.adversarial(scores, True).item() == pytest.approx(real)
    assert losses.adversarial(scores, False).item() == pytest.approx(fake)


def test_log():
    flat = scores.flatten().tolist()
    real = sum(-log(sigmoid(s)) for s in flat) / 4
    fake = sum(-log(1 - sigmoid(s)) for s in flat) / 4
    assert losses.adversarial(scores, True, "log").item() == pytest.approx(real)
    assert losses.adversarial(scores, False, "log").item() == pytest.approx(fake)


def test_log_of_certain_scores_stays_finite():
    assert losses.adversarial(torch.tensor([-200.0]), True, "log").item() == pytest.approx(200)


@pytest.mark.parametrize("kind, perfect, blind", [("least_squares", 0.0, 0.25),
                                                  ("log", 0.0, log(2))])
def test_discriminator(kind, perfect, blind):
    sure = 1.0 if kind == "least_squares" else 50.0
    unsure = 0.5 if kind == "least_squares" else 0.0
    real, fake = torch.full((2, 1, 3, 3), sure), torch.full((2, 1, 3, 3), 1 - sure)
    assert losses.discriminator(real, fake, kind).item() == pytest.approx(perfect, abs=1e-6)
    assert losses.discriminator(fake, real, kind).item() > 0.9  # labels the wrong way round
    even = torch.full((2, 1, 3, 3), unsure)
    assert losses.discriminator(even, even, kind).item() == pytest.approx(blind)


def test_reconstruction_and_identity():
    rec, real = torch.tensor([1.0, -1.0, 0.5]), torch.tensor([0.0, -1.0, -0.5])
    assert losses.reconstruction(rec, real).item() == pytest.approx(2 / 3)
    assert losses.reconstruction(rec, real, "L2").item() == pytest.approx(2 / 3)
    assert losses.reconstruction(2 * rec, 2 * real, "L1").item() == pytest.approx(4 / 3)
    assert losses.reconstruction(2 * rec, 2 * real, "L2").item() == pytest.approx(8 / 3)
    assert losses.identity(rec, real).item() == pytest.approx(2 / 3)
    assert losses.identity(2 * rec, 2 * real).item() == pytest.approx(4 / 3)


def test_unknown_kinds():
    with pytest.raises(ValueError, match="hinge"):
        losses.adversarial(scores, True, "hinge")
    with pytest.raises(ValueError, match="L3"):
        losses.reconstruction(scores, scores, "L3")
