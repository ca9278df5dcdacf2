"""The networks together, and one optimisation step. Nothing here knows of files or devices.

OneWayGAN is the first half of the write-up: A to B, and back to A to check. CycleGAN is that half
and its mirror image, closed into a ring:

          G_AB              G_BA
    real_A ──▶ fake_B ──▶ rec_A        D_B judges fake_B, the cycle loss compares rec_A, real_A
    real_B ──▶ fake_A ──▶ rec_B        D_A judges fake_A, the cycle loss compares rec_B, real_B
          G_BA              G_AB

Calls of a network are made together where they can be. Instance norm treats every image of a batch
by itself, so G_AB([real_A, real_B]) is the fake and the identity image in one call, and
D_B([real_B, fakes]) judges both: the same numbers, by four calls in place of six.
"""

import contextlib
import copy
import itertools

import torch
from torch import nn

from . import losses
from .discriminator import Discriminator
from .generator import Generator, UNet
from .image_pool import ImagePool


class OneWayGAN(nn.Module):
    """G_AB makes B out of A, D_B judges it, G_BA has to find the way back (write-up, section 2).

    adversarial       "least_squares" or "log", see losses.adversarial
    reconstruction    "L1" or "L2", see losses.reconstruction
    lambda_adversarial, lambda_cycle_A   weights of the two losses; 0 switches a loss off
    pool_size         past fakes to remember for D_B
    lr, betas         of Adam (section 7.1); lr_D is D_B's, the same if None
    disc_steps        steps of D_B for each of the generators, where they outrun it
    average           0.999 keeps running averages of the generators' weights: each step takes a
                      thousandth of the new ones. They make calmer images. 0: none
    precision         "fp32", or "bf16": the networks compute in bfloat16; weights and losses stay
                      in float32
    together          False: a network call for each kind of image, for networks of your own that
                      look across the batch, as batch norm does
    seed              of the pool's random numbers
    """

    def __init__(self, G_AB, G_BA, D_B, adversarial="least_squares", reconstruction="L1",
                 lambda_adversarial=1.0, lambda_cycle_A=10.0, pool_size=50, lr=2e-4,
                 betas=(0.5, 0.999), lr_D=None, disc_steps=1, average=0.0, precision="fp32",
                 together=True, seed=0):
        super().__init__()
        self.G_AB, self.G_BA, self.D_B = G_AB, G_BA, D_B
        self.adversarial, self.reconstruction = adversarial, reconstruction
        self.lambda_adversarial, self.lambda_cycle_A = lambda_adversarial, lambda_cycle_A
        self.disc_steps, self.average = disc_steps, average
        self.precision, self.together = precision, together
        if average:
            self.average_G_AB, self.average_G_BA = copy.deepcopy(G_AB), copy.deepcopy(G_BA)
        self.pools = {"B": ImagePool(pool_size, seed)}
        self.optimizers = {"G": adam([G_AB, G_BA], lr, betas), "D": adam([D_B], lr_D or lr, betas)}

    def step(self, real_A, real_B):
        """Train all networks once on a batch: two tensors (N, C, H, W) in [-1, 1], same shape.

        Returns the losses by name, detached and without their weights: adversarial_B (G_AB
        against D_B), cycle_A (rec_A against real_A), discriminator_B; in a CycleGAN identity_B
        too, and the same for the other direction. What is switched off is neither computed nor
        returned.
        """
        with frozen(n for name, n in self.named_children() if name.startswith("D_")):
            with self.autocast(real_A):  # the discriminators judge here, but do not learn
                total, named, fakes = self.generator_half(real_A, real_B)
            descend(self.optimizers["G"], total)

        for _ in range(self.disc_steps if self.lambda_adversarial else 0):
            pooled = {domain: self.pools[domain].query(fake) for domain, fake in fakes.items()}
            with self.autocast(real_A):
                total, judged = self.discriminator_half(real_A, real_B, pooled)
            descend(self.optimizers["D"], total)
            named |= judged  # those of the last of them
        if self.average:
            for average, G in zip(self.generators(), (self.G_AB, self.G_BA), strict=True):
                torch._foreach_lerp_([p.data for p in average.parameters()],
                                     [p.data for p in G.parameters()], 1 - self.average)
                for kept, buffer in zip(average.buffers(), G.buffers(), strict=True):
                    kept.copy_(buffer)  # of a generator of one's own
        return named

    def generators(self):
        """What to translate with, to B and to A: the averages, where they are kept."""
        if self.average:
            return self.average_G_AB, self.average_G_BA
        return self.G_AB, self.G_BA

    # ── Fork here: a loss of your own goes into one of these two ────────────────────────────────

    def generator_half(self, real_A, real_B):
        """The sum to descend on, the losses by name, and {"B": fake_B}."""
        total, named, fake_B = self.generator_losses(
            real_A, real_B, self.G_AB, self.G_BA, self.D_B, "A", "B", self.lambda_cycle_A)
        return total, named, {"B": fake_B}

    def discriminator_half(self, real_A, real_B, pooled):
        """The sum to descend on, and the losses by name; `pooled` has fakes by domain."""
        loss = self.discriminator_loss(self.D_B, real_B, pooled["B"])
        return loss, {"discriminator_B": loss.detach()}

    # ────────────────────────────────────────────────────────────────────────────────────────────

    def generator_losses(self, real_A, real_B, G_AB, G_BA, D_B, A, B, lambda_cycle,
                         lambda_identity=0.0):
        """One direction, A to B and back. For B to A, call it with all roles exchanged.

        A and B name the losses. Returns their weighted sum, the losses by name, and fake_B.
        """
        total, named = 0.0, {}

        def add(name, weight, loss):
            nonlocal total
            total = total + weight * loss
            named[name] = loss.detach()

        if lambda_identity:
            fake_B, idt_B = self.call(G_AB, real_A, real_B)
            add(f"identity_{B}", lambda_identity, losses.identity(idt_B, real_B))
        else:
            (fake_B,) = self.call(G_AB, real_A)
        if self.lambda_adversarial:
            (scores,) = self.call(D_B, fake_B)
            add(f"adversarial_{B}", self.lambda_adversarial,
                losses.adversarial(scores, True, self.adversarial))
        if lambda_cycle:
            (rec_A,) = self.call(G_BA, fake_B)
            add(f"cycle_{A}", lambda_cycle,
                losses.reconstruction(rec_A, real_A, self.reconstruction))
        return total, named, fake_B.detach()

    def discriminator_loss(self, D_B, real_B, pooled_B):
        """D_B on real images and on fakes from the pool, which carry no gradient to G_AB."""
        return losses.discriminator(*self.call(D_B, real_B, pooled_B), self.adversarial)

    def call(self, network, *batches):
        """network(batch) for every batch, in one call if `together`; a tuple of as many results."""
        if not self.together and len(batches) > 1:
            return tuple(self.call(network, batch)[0] for batch in batches)
        x = batches[0] if len(batches) == 1 else torch.cat(batches)
        # losses, and what other networks are fed, in full precision
        return network(x).to(x.dtype).split([len(b) for b in batches])

    def autocast(self, x):
        # around a whole half: weights that two calls share are brought to bfloat16 once
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16")


class CycleGAN(OneWayGAN):
    """The one-way GAN and its mirror image: G_AB, G_BA, D_A and D_B (write-up, section 3).

    lambda_cycle_A   weight of the forward cycle, A to B to A: rec_A against real_A
    lambda_cycle_B   weight of the backward cycle, B to A to B: rec_B against real_B
    lambda_identity  weight of the identity losses, as a fraction of the cycle weight of the
                     domain they are measured in (0.5 in section 5.2)

    The others as in OneWayGAN. The paper's variants (section 5.1.4) are settings:

        cycle alone            lambda_adversarial=0
        GAN alone              lambda_cycle_A=0, lambda_cycle_B=0
        GAN + forward cycle    lambda_cycle_B=0
        GAN + backward cycle   lambda_cycle_A=0
    """

    def __init__(self, G_AB, G_BA, D_A, D_B, *, lambda_cycle_B=10.0, lambda_identity=0.0,
                 pool_size=50, lr=2e-4, betas=(0.5, 0.999), lr_D=None, seed=0, **one_way):
        super().__init__(G_AB, G_BA, D_B, pool_size=pool_size, lr=lr, betas=betas, lr_D=lr_D,
                         seed=seed, **one_way)
        self.D_A = D_A
        self.lambda_cycle_B, self.lambda_identity = lambda_cycle_B, lambda_identity
        self.pools["A"] = ImagePool(pool_size, seed + 1)
        self.optimizers["D"] = adam([D_A, D_B], lr_D or lr, betas)

    def generator_half(self, real_A, real_B):
        total_AB, named_AB, fake_B = self.generator_losses(
            real_A, real_B, self.G_AB, self.G_BA, self.D_B, "A", "B",
            self.lambda_cycle_A, self.lambda_identity * self.lambda_cycle_B)
        total_BA, named_BA, fake_A = self.generator_losses(
            real_B, real_A, self.G_BA, self.G_AB, self.D_A, "B", "A",
            self.lambda_cycle_B, self.lambda_identity * self.lambda_cycle_A)
        return total_AB + total_BA, named_AB | named_BA, {"A": fake_A, "B": fake_B}

    def discriminator_half(self, real_A, real_B, pooled):
        loss_A = self.discriminator_loss(self.D_A, real_A, pooled["A"])
        loss_B = self.discriminator_loss(self.D_B, real_B, pooled["B"])
        return loss_A + loss_B, {"discriminator_A": loss_A.detach(),
                                 "discriminator_B": loss_B.detach()}


def adam(networks, lr, betas):
    # One pass over all weights instead of a dozen; on Apple's GPUs only newer torch has it.
    return torch.optim.Adam(itertools.chain(*(n.parameters() for n in networks)), lr, betas,
                            fused=not torch.backends.mps.is_available())


@contextlib.contextmanager
def frozen(networks):
    """Within it, the weights of some networks ask for no gradient; after it, those that did do."""
    learning = [p for network in networks for p in network.parameters() if p.requires_grad]
    for p in learning:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in learning:
            p.requires_grad_(True)


def descend(optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    if loss.requires_grad:  # not where somebody has frozen all the weights that it could reach
        loss.backward()
    optimizer.step()


# ── Fork here: `train` and `load_generator` take a function like this one ───────────────────────


def make_model(config, precision="fp32", kind=None):
    """The model that a Config describes, its networks fresh from torch's random numbers.

    kind  a child class of CycleGAN (or OneWayGAN), with a loss or a step of its own

    One of your own goes in by an argument: train(config, out, make_model=yours). It gets the first
    two arguments and returns a OneWayGAN or a CycleGAN, or a child class.
    """
    def new_generator():
        if config.generator == "unet":
            return UNet(config.width, config.blocks, config.channels)
        return Generator(config.width, config.blocks, config.channels, config.upsample)

    def new_discriminator():
        return Discriminator(config.disc_width, config.disc_depth, config.channels)

    settings = {name: getattr(config, name) for name in (
        "adversarial", "reconstruction", "lambda_adversarial", "lambda_cycle_A", "pool_size",
        "lr", "lr_D", "disc_steps", "average", "seed")}
    settings |= dict(betas=(config.beta1, config.beta2), precision=precision)
    G_AB, G_BA = new_generator(), new_generator()
    if config.model == "one_way":
        return (kind or OneWayGAN)(G_AB, G_BA, new_discriminator(), **settings)
    return (kind or CycleGAN)(
        G_AB, G_BA, new_discriminator(), new_discriminator(), **settings,
        lambda_cycle_B=config.lambda_cycle_B, lambda_identity=config.lambda_identity)
