"""Pictures for people: rows of images, and the curves of a run."""

import csv
import io
import math
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from ..config import Config
from ..engine.checkpoint import write_whole
from ..engine.errors import InputError
from ..engine.images import to_image

COLOURS = {"A": "#0072b2", "B": "#d55e00"}  # the same two everywhere; told apart by everyone


def show(rows, titles, path=None, heads=()):
    """Draw rows of images, a title at the left of each.

    rows    lists of tensors (C, H, W) in [-1, 1]; None leaves a place empty
    titles  as many strings
    path    save there as PNG and close; else the figure is returned
    heads   a line of text above each column
    """
    side = max(max(t.shape[1:]) for row in rows for t in row if t is not None)
    gap, columns = max(2, side // 16), max(len(row) for row in rows)
    pitch = side + gap
    sheet = Image.new("RGB", (columns * pitch - gap, len(rows) * pitch - gap), "white")
    for y, row in enumerate(rows):
        for x, tensor in enumerate(row):
            if tensor is not None:
                sheet.paste(to_image(tensor), (x * pitch, y * pitch))
    figure, axis = plt.subplots(layout="constrained",
                                figsize=(1.2 * columns + 0.8, 1.2 * len(rows) + 0.3 * bool(heads)))
    axis.imshow(sheet)
    axis.set_frame_on(False)
    axis.set_yticks([y * pitch + side / 2 for y in range(len(rows))], titles, fontsize=9)
    axis.set_xticks([x * pitch + side / 2 for x in range(len(heads))], heads, fontsize=9,
                    parse_math=False)  # file names are among them, and may have a $
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    return finish(figure, path)


def evenly(items, count):
    """At most `count` of a list, evenly spread, with the first and the last."""
    if len(items) <= count:
        return items
    return [items[i * (len(items) - 1) // (count - 1)] for i in range(count)]


def read_log(log):
    """The steps and the losses by name in a run's log.csv: lists of as many numbers. Both are
    empty before the first line is due. InputError where a line is torn or holds no numbers."""
    if not Path(log).exists():
        return [], {}
    try:
        with open(log, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [n for n in (rows[0] if rows else ()) if n[-2:] in ("_A", "_B")]
        return [int(r["step"]) for r in rows], {n: [float(r[n]) for r in rows] for n in names}
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise InputError(f"{log} is damaged ({error}); take the bad line out, or remove the file."
                         ) from error


def loss_curves(log, path=None, adversarial=Config.adversarial):
    """Draw the losses in a run's log.csv: one panel a kind; domain A blue, domain B orange. Dotted
    in that of D: what it has where it cannot tell, by the kind of the adversarial loss."""
    steps, losses = read_log(log)
    kinds = list(dict.fromkeys(name[:-2] for name in losses)) or ["loss"]
    figure, axes = plt.subplots(1, len(kinds), squeeze=False, layout="constrained",
                                figsize=(3.2 * len(kinds), 2.6))
    for axis, kind in zip(axes[0], kinds, strict=True):
        for domain, style in (("A", "-"), ("B", "--")):
            if f"{kind}_{domain}" in losses:
                axis.plot(steps, losses[f"{kind}_{domain}"], style, color=COLOURS[domain],
                          label=f"{kind}_{domain}")
        if kind == "discriminator":
            blind = 0.25 if adversarial == "least_squares" else math.log(2)
            axis.axhline(blind, color="gray", lw=0.8, ls=":")
        axis.set(title=kind, xlabel="step", ylim=(0, None))
        if losses:
            axis.legend(fontsize=8)
    return finish(figure, path)


def finish(figure, path):
    """Write a figure as PNG, whole or not at all, and close it; return it if `path` is None."""
    if path is None:
        return figure
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, bbox_inches="tight")
    plt.close(figure)
    write_whole(path, buffer.getbuffer())
