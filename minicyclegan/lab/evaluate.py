"""Scores against the true counterparts, where they are known (the toy set, or your own pairs)."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

from ..engine.errors import shown
from . import plots

MEASURES = {"mae": "error (0-255)", "mae_animal": "  on the animal",
            "mae_background": "  on the background", "psnr": "PSNR (dB)", "ssim": "SSIM"}


def mean_absolute_error(image, truth, weight=None):
    """Mean |image - truth| in units of 0..255; tensors (C, H, W) in [-1, 1].

    weight (1, H, W) in [0, 1] counts some pixels only, the animal's for one.
    """
    error = 127.5 * (image - truth).abs()
    if weight is None:
        return error.mean().item()
    return ((error * weight).sum() / (weight.sum() * len(image)).clamp(min=1e-9)).item()


def psnr(image, truth):
    """Peak signal-to-noise ratio in dB, higher is better; tensors in [-1, 1].

    Equal images give 100 dB, not infinity, so that a mean over images stays a number.
    """
    error = F.mse_loss(image, truth).item()
    return -10 * torch.tensor(max(error / 4, 1e-10)).log10().item()  # the range is 2, 2² = 4


def ssim(image, truth):
    """Structural similarity (Wang et al. 2004), 1 is best; tensors (C, H, W) in [-1, 1].

    The paper's settings: Gaussian window 11×11, sigma 1.5, K1 0.01, K2 0.03, population
    variances, the mean over channels and over the places where the window fits.
    """
    size = min(11, *image.shape[1:])
    at = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    window = torch.exp(-at.square() / (2 * 1.5**2))
    window = window.outer(window) / window.sum() ** 2

    def blur(x):  # (C, H, W) to (C, H - 10, W - 10), channels apart
        return F.conv2d(x[:, None], window[None, None])[:, 0]

    x, y = (image.double() + 1) / 2, (truth.double() + 1) / 2  # differences of near equals
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    map_ = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)
            / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)))
    return map_.mean().item()


def score(image, truth, mask=None):
    """All scores of one image as a dict; with a mask, the error on animal and background too."""
    scores = {"mae": mean_absolute_error(image, truth), "psnr": psnr(image, truth),
              "ssim": ssim(image, truth)}
    if mask is not None:
        scores["mae_animal"] = mean_absolute_error(image, truth, mask)
        scores["mae_background"] = mean_absolute_error(image, truth, 1 - mask)
    return scores


def symptom(real, fake):
    """What looks wrong with fakes, and what helps: one sentence for people, or None.

    real, fake  tensors (N, C, H, W) in [-1, 1]: what went into a generator, what came out
    """
    spread = fake.std(dim=(1, 2, 3))
    if (spread < 0.05).float().mean() > 0.5:  # of a range of 2
        colour = "black" if fake.mean() < -0.9 else "of one flat colour"
        return (f"most fakes are {colour}; if it stays so, start again with another --seed or a "
                "smaller --lr.")
    if len(real) > 1 and fake.std(dim=0).mean() < 0.1 * real.std(dim=0).mean():
        return ("all fakes look the same, whatever went in; if it stays so, start again with "
                "another --seed or more --lambda-cycle-A and --lambda-cycle-B.")
    pairs = zip(real.mean(1).flatten(1), fake.mean(1).flatten(1), strict=True)
    brightness = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs])
    if brightness.nanmedian() < -0.5:
        return ("light and dark have changed places in the fakes; if it stays so, start again with "
                "--lambda-identity 0.5 (paper, section 5.2), or another --seed.")


@torch.no_grad()
def evaluate(G_AB, G_BA, pairs, device="cpu"):
    """Translate every test pair both ways and compare with the truth.

    pairs  data.PairedImages. Returns (scores, examples).
    scores {"A_to_B": {"mae", "psnr", "ssim", and each "..._nothing": the score of the input left
           as it is}, "B_to_A": {...}, "images": N}, means over the images; with masks also
           "mae_animal" and "mae_background".
    examples {"A_to_B": [(mae, name, real, fake, truth), ...], ...}, best first.
    """
    G = {"A_to_B": G_AB, "B_to_A": G_BA}
    each, examples = {d: [] for d in G}, {d: [] for d in G}
    for name, real_A, real_B, mask in tqdm(pairs, "evaluating", leave=False, delay=2):
        for way, real, truth in (("A_to_B", real_A, real_B), ("B_to_A", real_B, real_A)):
            fake = G[way](real[None].to(device))[0].float().cpu()
            scores = score(fake, truth, mask)
            nothing = score(real, truth, mask)
            each[way].append(scores | {f"{k}_nothing": v for k, v in nothing.items()})
            examples[way].append((scores["mae"], name, real, fake, truth))
    scores = {way: {k: sum(s[k] for s in all_) / len(all_) for k in all_[0]}
              for way, all_ in each.items()}
    for rows in examples.values():
        rows.sort(key=lambda row: row[:2])
    return scores | {"images": len(pairs)}, examples


def table(scores):
    """The scores as a text for the terminal."""
    ways = {"A_to_B": "A → B", "B_to_A": "B → A"}
    lines = [f"{scores['images']:>4} test images" + " " * 7
             + "".join(f"{w:>9} {'nothing':>9}" for w in ways.values())]
    for key, name in MEASURES.items():
        if key in scores["A_to_B"]:
            digits = 3 if key == "ssim" else 1
            lines.append(f"{name:<23}" + "".join(
                f"{scores[w][key]:>9.{digits}f} {scores[w][key + '_nothing']:>9.{digits}f}"
                for w in ways))
    return "\n".join(lines + ['"nothing" is the score of leaving the image as it is.'])


def write_scores(G_AB, G_BA, pairs, device, json_file, picture):
    """Evaluate; write the scores as JSON (unless `json_file` is None) and a picture (unless
    it is None) of the best, the median and the worst image of either direction. Returns the table
    as a text."""
    scores, examples = evaluate(G_AB, G_BA, pairs, device)
    if json_file:
        Path(json_file).write_text(json.dumps(scores, indent=2) + "\n")
    if not picture:
        return table(scores)
    columns, heads = [], []
    for way, rows in examples.items():
        for rank, i in (("best", 0), ("median", len(rows) // 2), ("worst", -1)):
            error, name, *images = rows[i]
            columns.append(images)
            heads.append(f"{way[0]}→{way[-1]}, {rank}\n{shown(name)}: {error:.1f}")
    plots.show(list(zip(*columns, strict=True)), ["real", "fake", "truth"], picture, heads)
    return table(scores)
