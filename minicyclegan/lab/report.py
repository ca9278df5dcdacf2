"""A run's page: report.html, everything that a run folder shows, in one file.

It needs nothing but a browser: pictures are inside, nothing is loaded from elsewhere, so it can be
opened by double click, mailed, or kept. Jinja2 fills report.html, the template beside this file,
and escapes whatever text a run folder holds.
"""

import base64
import io
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from ..engine.checkpoint import load_checkpoint, write_whole
from ..engine.errors import InputError, command
from ..engine.images import read_image
from . import plots
from .evaluate import WAYS, cells
from .fid import fid_table

SAMPLES = 24  # at most so many go into the page, 0.1 MB each


def write_report(run):
    """Write `report.html` into a run folder, from the files that are there: a run that is not
    done, or has no scores, gets a page that says so. Returns the path.

    InputError where `run` is no run folder, or one of its files is damaged.
    """
    run = Path(run)
    config, scores, examples = (run / f for f in ("config.json", "scores.json", "scores.png"))
    samples = sorted((run / "samples").glob("step_*.png"))
    steps, losses = plots.read_log(run / "log.csv")
    settings = read(config, dict) if config.exists() else load_checkpoint(run)["config"]
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                              trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("report.html").render(
        name=run.resolve().name, step=steps[-1] if steps else 0,
        settings=settings,
        samples=[(file.stem.removeprefix("step_").lstrip("0"), picture(file))
                 for file in plots.evenly(samples, SAMPLES)],
        samples_in_all=len(samples), scores=read(scores, tables) if scores.exists() else None,
        unpaired=[read(file, fid_table) for file in sorted(run.glob("scores_fid*.json"))],
        by_fid=command("evaluate", run, "--fid"),
        examples=picture(examples) if examples.exists() else None,
        last={name: values[-1] for name, values in losses.items()},
        curves=draw_curves(run / "log.csv", settings.get("adversarial")) if losses else None)
    write_whole(run / "report.html", page.encode(errors="backslashreplace"))  # odd names
    return run / "report.html"


def read(file, take):
    """take(content) of a JSON file; InputError where it, or what it holds, is damaged."""
    try:
        return take(json.loads(file.read_text(encoding="utf-8")))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{file} is damaged, or of another version ({error!r}); remove it, or "
                         "write it again.") from error


def tables(scores):
    """What the page shows of scores.json; a table is (arrow, heads, {answer: texts})."""
    return {"images": scores["images"],
            "tables": [(arrow, *cells(scores, way)) for way, arrow in WAYS.items()]}


def picture(file):
    """An image file as a data URL: WebP, a tenth of the PNG's size."""
    buffer, image = io.BytesIO(), read_image(file)
    image.save(buffer, "WEBP", quality=80, method=2)  # fast
    return {"url": data_url("webp", buffer), "width": image.width, "height": image.height}


def draw_curves(log, adversarial):
    figure, buffer = plots.loss_curves(log, None, adversarial), io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight")
    plots.plt.close(figure)
    return data_url("svg+xml", buffer)


def data_url(kind, buffer):
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
