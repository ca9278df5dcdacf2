"""The losses. Each takes tensors of any shape and returns one number, a 0-dimensional tensor.

Adversarial losses take raw scores, the discriminator's output; there is no sigmoid in front.
"""

import torch
import torch.nn.functional as F


def adversarial(scores, is_real, kind="least_squares"):
    """How far the scores are from the verdict `is_real` (True or False), averaged over the map.

    kind "least_squares": (score - target)², targets 1 and 0 (paper, section 4).
    kind "log": -log D for real, -log(1 - D) for fake, D = sigmoid(score) (paper, equation 1).

    The generator minimises adversarial(D(fake), True). With "log" that is -log D(fake) in place
    of log(1 - D(fake)): the same fixed point, but a gradient that does not vanish where D wins.
    """
    target = torch.ones_like(scores) if is_real else torch.zeros_like(scores)
    if kind == "least_squares":
        return F.mse_loss(scores, target)
    if kind == "log":
        return F.binary_cross_entropy_with_logits(scores, target)
    raise ValueError(f'the adversarial loss is "least_squares" or "log", not {kind!r}')


def discriminator(scores_real, scores_fake, kind="least_squares"):
    """What D minimises: real as real, fake as fake; halved, to slow D against G (7.1), which Adam
    hardly notices."""
    loss_real = adversarial(scores_real, True, kind)
    loss_fake = adversarial(scores_fake, False, kind)
    return (loss_real + loss_fake) / 2


def reconstruction(rec, real, kind="L1"):
    """The cycle loss of one direction: rec = G_BA(G_AB(real)) against real (equation 2).

    kind "L1": mean |rec - real|, the paper's. kind "L2": mean (rec - real)².
    """
    if kind == "L1":
        return F.l1_loss(rec, real)
    if kind == "L2":
        return F.mse_loss(rec, real)
    raise ValueError(f'the reconstruction loss is "L1" or "L2", not {kind!r}')


def identity(idt, real):
    """A generator shown its own target domain should change nothing: idt_B = G_AB(real_B) against
    real_B, in L1 (section 5.2). It keeps colours."""
    return F.l1_loss(idt, real)
