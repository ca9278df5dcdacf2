"""Pictures for people: rows of images, and the curves of a run."""

import csv
from pathlib import Path

import matplotlib.pyplot as plt

from .data import to_image

COLOURS = {"A": "#0072b2", "B": "#d55e00"}  # the same two everywhere; told apart by everyone


def show(rows, titles, path=None, heads=()):
    """Draw rows of images, a title at the left of each.

    rows    lists of tensors (C, H, W) in [-1, 1]; None leaves a place empty
    titles  as many strings
    path    save there as PNG and close; else the figure is returned
    heads   a line of text above each column
    """
    columns = max(len(row) for row in rows)
    figure, axes = plt.subplots(len(rows), columns, squeeze=False, layout="constrained",
                                figsize=(1.2 * columns + 0.8, 1.2 * len(rows)))
    for line, row, title in zip(axes, rows, titles, strict=True):
        for axis in line:
            axis.set(xticks=[], yticks=[], frame_on=False)
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
        for axis, tensor in zip(line, row, strict=False):
            if tensor is not None:
                axis.imshow(to_image(tensor), cmap="gray", vmin=0, vmax=255)
    for axis, head in zip(axes[0], heads, strict=False):
        axis.set_title(head, fontsize=9)
    return finish(figure, path)


def loss_curves(log, path=None):
    """Draw the losses in a run's log.csv: one panel a kind, domain A blue, domain B orange."""
    rows = []  # none before the first line is due
    if Path(log).exists():
        with open(log, newline="") as file:
            rows = list(csv.DictReader(file))
    names = [n for n in (rows[0] if rows else ()) if n[-2:] in ("_A", "_B")]
    kinds = list(dict.fromkeys(n[:-2] for n in names)) or ["loss"]
    figure, axes = plt.subplots(1, len(kinds), squeeze=False, layout="constrained",
                                figsize=(3.2 * len(kinds), 2.6))
    for axis, kind in zip(axes[0], kinds, strict=True):
        for domain, style in (("A", "-"), ("B", "--")):
            if f"{kind}_{domain}" in names:
                axis.plot([int(r["step"]) for r in rows],
                          [float(r[f"{kind}_{domain}"]) for r in rows],
                          style, color=COLOURS[domain], label=f"{kind}_{domain}")
        if kind == "discriminator":
            axis.axhline(0.25, color="gray", lw=0.8, ls=":")  # a D that cannot tell (squares)
        axis.set(title=kind, xlabel="step", ylim=(0, None))
        if names:
            axis.legend(fontsize=8)
    return finish(figure, path)


def finish(figure, path):
    if path is None:
        return figure
    figure.savefig(path, dpi=110)
    plt.close(figure)
