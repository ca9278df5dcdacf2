"""Does a fake carry notes for the way back? (Chu, Zhmoginov, Sandler 2017, "CycleGAN, a master of
steganography")

    minicyclegan hiding runs/toy

The cycle loss wants rec_B = G_AB(fake_A) to be real_B, but no honest horse tells where a zebra's
stripes were. G_BA may write them into fake_A as a faint pattern, and G_AB read them there. The
test: damage fake_A a little, and see how much worse rec_B gets.

The yardstick is the true horse in place of fake_A. It holds no notes, so G_AB(true_A) is as far
from real_B as an honest way back would be, and shows what the damage does to any image.
"""

import math
from statistics import mean

import torch
import torch.nn.functional as F
from tqdm import tqdm

from .. import cyclegan
from ..engine.device import pick_device
from . import plots
from .evaluate import apply, gaussian_means, load_both, mean_absolute_error, read_pairs


def quantise(images, bits):
    """Images in [-1, 1] in 2^bits shades for each channel."""
    most = 2**bits - 1
    return ((images.clamp(-1, 1) + 1) / 2 * most).round() / most * 2 - 1


def blur(images, sigma):
    """A Gaussian of `sigma` pixels over images (N, C, H, W)."""
    if not sigma:
        return images
    radius = min(math.ceil(3 * sigma), min(images.shape[2:]) - 1)
    padded = F.pad(images, [radius] * 4, "reflect").flatten(0, 1)
    return gaussian_means(padded, 2 * radius + 1, sigma).unflatten(0, images.shape[:2])


def add_noise(images, sd):
    """Gaussian noise of standard deviation `sd` on the scale 0-255, the same in every call."""
    rng = torch.Generator().manual_seed(0)
    return images + sd / 127.5 * torch.randn(images.shape, generator=rng)


CYCLES = ("A → B → A", "B → A → B")
DAMAGE = {  # name: (function, strengths from little to much, what the strength is)
    "quantise": (quantise, [8, 6, 5, 4, 3, 2, 1], "bits per channel"),
    "blur": (blur, [0, 0.5, 0.75, 1, 1.5, 2, 3, 4], "sigma in pixels"),
    "noise": (add_noise, [0, 1, 2, 4, 8, 16, 32, 64], "standard deviation, 0-255"),
}


def hiding(G_AB, G_BA, real_A, real_B, device="cpu"):
    """Errors of the way back after damage, as rows for a table.

    real_A, real_B  (N, C, H, W) in [-1, 1], true counterparts. Each row is a dict: cycle ("A → B →
    A" or the other), damage, strength, and on the scale 0-255 fake, the error of the way back from
    the damaged fake, and truth, that from the damaged true counterpart.
    """
    rows = []
    for cycle, G, back, real, truth in ((CYCLES[0], G_AB, G_BA, real_A, real_B),
                                        (CYCLES[1], G_BA, G_AB, real_B, real_A)):
        inputs = {"fake": apply(G, real, device), "truth": truth}
        for damage, (function, strengths, _) in DAMAGE.items():
            for strength in strengths:
                rows.append({"cycle": cycle, "damage": damage, "strength": strength} | {
                    name: mean_absolute_error(apply(back, function(x, strength), device), real)
                    for name, x in inputs.items()})
    return rows


def curves(rows, path):
    """A panel for each kind of damage; blue A → B → A, orange B → A → B; whole lines the fake,
    dashed ones the truth."""
    figure, axes = plots.plt.subplots(1, 3, figsize=(10.5, 3.6), layout="constrained", sharey=True)
    for axis, (damage, (_, strengths, unit)) in zip(axes, DAMAGE.items(), strict=True):
        for cycle in CYCLES:
            errors = [r for r in rows if (r["cycle"], r["damage"]) == (cycle, damage)]
            for name, line in (("fake", "o-"), ("truth", "o--")):
                axis.plot([f"{s:g}" for s in strengths], [r[name] for r in errors], line,
                          color=plots.COLOURS[cycle[0]], label=f"{cycle}, by way of the {name}")
        axis.set(title=damage, xlabel=unit)
        axis.grid(alpha=0.3)
    axes[0].set(ylabel="error of the way back, 0-255", ylim=(0, None))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  fontsize=9)
    plots.finish(figure, path)


def hiding_of_runs(models, data=None, device="auto", make_model=cyclegan.make_model):
    """The rows of `hiding`, means over several models: run folders, checkpoints or exports. `data`
    None is that of each; make_model as in translate.load_networks."""
    device, every = pick_device(device), []
    for model in tqdm(models, "damaging", leave=False, delay=2):
        G_AB, G_BA, config = load_both(model, device, make_model)
        _, *reals, _ = zip(*read_pairs(data or config.data, config), strict=True)
        every.append(hiding(G_AB, G_BA, *map(torch.stack, reals), device))
    return [same[0] | {k: mean(row[k] for row in same) for k in ("fake", "truth")}
            for same in zip(*every, strict=True)]


def survival(rows):
    """A sentence for each cycle: what the fake tells that the truth would not, and how much of it
    is left after some damage."""
    text = []
    for cycle in CYCLES:
        at = {(r["damage"], r["strength"]): r for r in rows if r["cycle"] == cycle}
        gain = {damage: r["truth"] - r["fake"] for damage, r in at.items()}
        whole = gain["noise", 0]
        text.append(f"{cycle}: error {at['noise', 0]['fake']:.1f} by way of the fake, "
                    f"{at['noise', 0]['truth']:.1f} by way of the true counterpart")
        if whole > 0:
            text[-1] += (f"; of that gain is left {gain['quantise', 8] / whole:.0%} in 8 bits, "
                         f"{gain['quantise', 3] / whole:.0%} in 3 bits, "
                         f"{gain['blur', 2] / whole:.0%} after a blur of 2 pixels, "
                         f"{gain['noise', 32] / whole:.0%} under noise of 32")
    return "\n".join(text)
