"""A run's page: report.html, everything that a run folder shows, in one file.

It needs nothing but a browser: pictures are inside, nothing is loaded from elsewhere, so it can be
opened by double click, mailed, or kept. Jinja2 fills report.html, the template beside this file,
and escapes whatever text a run folder holds.
"""

import base64
import io
import json
from contextlib import contextmanager
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from ..engine.checkpoint import load_checkpoint, write_whole
from ..engine.errors import InputError, command
from ..engine.images import read_image
from . import plots
from .evaluate import WAYS, cells

SAMPLES = 24  # at most so many go into the page, 0.1 MB each


def write_report(run):
    """Write `report.html` into a run folder, from the files that are there: a run that is not
    done, or has no scores, gets a page that says so. Returns the path.

    InputError where `run` is no run folder, or one of its files is damaged.
    """
    run = Path(run)
    if (run / "config.json").exists():
        with reading(run / "config.json") as text:
            settings = dict(json.loads(text))
    else:
        settings = load_checkpoint(run)["config"]
    every = sorted((run / "samples").glob("step_*.png"))
    steps, curves = draw_curves(run / "log.csv")
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                              trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("report.html").render(
        name=run.resolve().name, settings=settings, step=steps[-1] if steps else 0,
        samples=[(file.stem.removeprefix("step_").lstrip("0"), picture(file))
                 for file in evenly(every, SAMPLES)],
        samples_in_all=len(every), curves=curves, **scores(run),
        by_fid=command("evaluate", run, "--fid"),
        examples=picture(run / "scores.png") if (run / "scores.png").exists() else None)
    write_whole(run / "report.html", page.encode())
    return run / "report.html"


@contextmanager
def reading(file):
    """The text of a JSON file; InputError where it, or what is then found in it, is damaged."""
    try:
        yield file.read_text(encoding="utf-8")
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{file} is damaged, or of another version ({error!r}); remove it, or "
                         "write it again.") from error


def evenly(items, count):
    """At most `count` of a list, evenly spread, with the first and the last."""
    if len(items) <= count:
        return items
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def picture(file):
    """An image file as a data URL: WebP, a tenth of the PNG's size."""
    buffer, image = io.BytesIO(), read_image(file)
    image.save(buffer, "WEBP", quality=80, method=2)  # fast
    return data_url("webp", buffer) | {"width": image.width, "height": image.height}


def data_url(kind, buffer):
    return {"url": f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"}


def draw_curves(log):
    """The steps in a log.csv, and a drawing for each kind of loss with its last values."""
    steps, losses = plots.read_log(log)
    curves = []
    for kind in dict.fromkeys(name[:-2] for name in losses):
        figure, buffer = plots.loss_curves(log, kind=kind), io.BytesIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight")
        plots.plt.close(figure)
        last = {name: values[-1] for name, values in losses.items() if name[:-2] == kind}
        curves.append({"kind": kind, "last": last} | data_url("svg+xml", buffer))
    return steps, curves


def scores(run):
    """What scores.json says, the number of images and a table for either direction, (arrow, heads,
    {answer: texts}); and what the files of `evaluate --fid` say, as texts."""
    found = {"images": 0, "tables": [], "unpaired": []}
    if (run / "scores.json").exists():
        with reading(run / "scores.json") as text:
            content = json.loads(text)
            found |= {"images": content["images"],
                      "tables": [(arrow, *cells(content, way)) for way, arrow in WAYS.items()]}
    for file in sorted(run.glob("scores_fid*.json")):
        from .fid import fid_table
        with reading(file) as text:
            found["unpaired"].append(fid_table(json.loads(text)))
    return found
