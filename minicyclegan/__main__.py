"""The command line: minicyclegan train, translate, evaluate, ..."""

import argparse
import json
import sys
import time
import warnings
from argparse import SUPPRESS
from dataclasses import fields
from pathlib import Path

import matplotlib

from . import __version__
from .config import PRESETS, TOY, Config, as_config, dashed
from .data import PairedImages
from .engine import parallel
from .engine.checkpoint import (
    export_generators,
    load_checkpoint,
    load_generator,
    pick_device,
    shipped_model,
)
from .engine.errors import InputError
from .engine.images import bad_images, check_images, list_tests
from .lab.ablate import VARIANTS, ablate, parse_settings, write_csv
from .lab.download import DATASETS, download
from .lab.evaluate import write_scores
from .lab.hiding import curves, hiding_of_runs, survival
from .lab.kid import LEAST, NEEDS, evaluate_unpaired, table
from .lab.report import write_report
from .lab.toy import draw_dataset
from .train import out_of_memory, resume, train
from .translate import translate


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage lines."""

    def __init__(self, **settings):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter,
                         allow_abbrev=False, **settings)

    def parse_args(self, arguments=None):
        args, more = self.parse_known_args(arguments)
        # argparse fills a list from one place alone, and RUN --to B INPUT has two
        if more and "paths" in args and not any(word.startswith("-") for word in more):
            args.paths += more
        elif more:
            self.error(f"unrecognized arguments: {' '.join(more)}")
        return args

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def parser():
    main = Parser(prog="minicyclegan", description="CycleGAN, small and readable. A to B and back, "
                  "from unpaired images.", epilog="start with: minicyclegan train")
    main.add_argument("--version", action="version", version=f"minicyclegan {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, run, help, example):
        sub = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".",
                                  epilog=f"example: minicyclegan {example}")
        sub.set_defaults(run=run)
        return sub

    sub = command("train", run_train, "train on a folder of images, or on the toy set",
                  "train --data horse2zebra --size 128 --out runs/horses")
    sub.add_argument("--preset", choices=list(PRESETS),
                     help="where the options start: toy (default; minutes on a CPU) or paper "
                          "(256×256, the paper's recipe)")
    sub.add_argument("--out", type=Path, metavar="RUN",
                     help="folder of the run (default: runs/ and the name of the data)")
    sub.add_argument("--resume", type=Path, metavar="RUN",
                     help="go on with a run where it stopped; it keeps its options")
    sub.add_argument("--stop-after", type=int, default=0, metavar="INT",
                     help="save and leave after so many steps, to be resumed later (0: never)")
    for f in fields(Config):
        paper = PRESETS["paper"].get(f.name, f.default)
        default = f.default if paper == f.default else f"{f.default}; paper: {paper}"
        flag, text = f"--{dashed(f.name)}", f"{f.metadata['help']} ({default})"
        if f.type is bool:
            sub.add_argument(flag, action=argparse.BooleanOptionalAction, default=SUPPRESS,
                             help=text)
        else:
            sub.add_argument(flag, type=f.type, default=SUPPRESS, help=text,
                             choices=f.metadata["choices"],
                             metavar=None if f.metadata["choices"] else f.type.__name__.upper())

    sub = command("translate", run_translate, "translate images with a trained generator",
                  "translate runs/toy --to B data/toy/testA --out zebras")
    sub.add_argument("paths", nargs="*", metavar="RUN INPUT", help="run folder or checkpoint "
                     "file, unless there is --model; then image files, or folders of them "
                     "(--model toy: its own test images, if there are no others)")
    add_model(sub)
    sub.add_argument("--to", choices=("A", "B"), default="B", help="the domain to translate to (B)")
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder for the results, under the "
                     "names of the inputs (default: fake_B or fake_A)")
    add_overwrite(sub)

    sub = command("evaluate", run_evaluate, "score a run against the true counterparts of its "
                  "test images, or without them (--kid)", "evaluate runs/toy --json scores.json")
    sub.add_argument("path", nargs="?", metavar="RUN", help="run folder, or a checkpoint file")
    add_model(sub)
    sub.add_argument("--data", metavar="DIR", help="folder with testA and testB, which pair by "
                     "file name unless there is --kid (default: the run's)")
    sub.add_argument("--kid", nargs="?", const="inception", choices=list(NEEDS), metavar="NETWORK",
                     help="score without pairs, by the features of a network: inception (default) "
                          "gives KID and FID, and downloads its weights; efficientnet gives "
                          f"EfficientNet-Lite0 KID; needs {LEAST} images of either domain")
    sub.add_argument("--split", choices=("test", "train"), help="of --kid: the images (test)")
    sub.add_argument("--classes", nargs=2, type=int, metavar=("A", "B"),
                     help="of --kid efficientnet: also the share of fakes taken for these classes "
                          "of ImageNet; 339 is a horse, 340 a zebra")
    sub.add_argument("--json", type=Path, metavar="FILE", help="write the scores there")
    sub.add_argument("--picture", type=Path, metavar="FILE", help="draw the best, the median and "
                     "the worst image there (default: scores.png in the run, renewed)")
    add_overwrite(sub)

    sub = command("report", run_report, "write report.html into a run: all that it shows, in one "
                  "page", "report runs/toy")
    sub.add_argument("path", metavar="RUN", help="run folder, done or not")

    sub = command("export", run_export, "write a run's two generators to a small file",
                  "export runs/toy toy.pt")
    sub.add_argument("path", metavar="RUN", help="run folder, or a checkpoint file")
    sub.add_argument("file", type=Path, metavar="FILE", help="a new file")
    add_overwrite(sub)

    sub = command("ablate", run_ablate, "train the paper's variants, or settings of your own, with "
                  "several seeds, and measure them against the truth",
                  'ablate full "log: adversarial=log" --seeds 8')
    sub.description += f"""

A SETTING is the name of one of the paper's variants ({', '.join(VARIANTS)}),
or "NAME: OPTION=VALUE ..." with options of minicyclegan train.
"paper" is all five, and the default; "paper: width=32" all five with that option.
After Ctrl-C, the same command goes on."""
    sub.add_argument("settings", nargs="*", default=["paper"], metavar="SETTING",
                     help="what to train; see above")
    sub.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each setting (3)")
    sub.add_argument("--out", type=Path, default=Path("runs/ablation"), metavar="DIR",
                     help="folder for the run folders (runs/ablation)")
    sub.add_argument("--results", type=Path, metavar="DIR", help="folder for tables and pictures, "
                     "which are renewed (default: the same)")
    sub.add_argument("--data", default=SUPPRESS, metavar="DIR", help="folder with trainA, trainB, "
                     "and testA and testB which pair by file name (data/toy)")
    sub.add_argument("--steps", type=int, default=SUPPRESS, metavar="N",
                     help=f"steps of each run ({Config.steps})")
    sub.add_argument("--jobs", type=int, metavar="N",
                     help="runs at a time (default: as many as cores, on a GPU 1)")
    sub.add_argument("--device", default=SUPPRESS, help="auto (default), cpu, cuda, mps, ...")

    sub = command("hiding", run_hiding, "see how much of the way back a fake holds in faint "
                  "patterns: damage it, and measure", "hiding runs/toy")
    sub.add_argument("models", nargs="+", metavar="RUN",
                     help="run folders, or checkpoint files; several are averaged")
    sub.add_argument("--data", metavar="DIR", help="folder with testA and testB, which pair by "
                     "file name (default: the run's)")
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder for hiding.csv and "
                     "hiding.png, which are renewed (default: the first run's)")
    sub.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps, ...")

    sub = command("draw", run_draw, "draw the toy set: horses, zebras, and their counterparts",
                  "draw data/toy --size 64 --seed 0")
    sub.add_argument("folder", type=Path, metavar="DIR", help="a new folder")
    sub.add_argument("--size", type=int, default=64, metavar="N", help="pixels a side (64)")
    sub.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, other scenes")

    sub = command("download", run_download, "download and unpack one of the paper's data sets",
                  "download horse2zebra")
    sub.add_argument("name", metavar="NAME", help=", ".join(DATASETS) + "; or any, with --from")
    sub.add_argument("--from", dest="source", metavar="URL_OR_FILE",
                     help="a zip elsewhere: a mirror, or one on this disk (default: the authors')")
    sub.add_argument("--out", type=Path, metavar="DIR", help="a new folder (default: data/NAME)")
    return main


def add_model(sub):
    sub.add_argument("--model", choices=("toy",), help="the trained toy model that comes with the "
                     "package, in place of RUN")
    sub.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps, ...")


def add_overwrite(sub):
    sub.add_argument("--overwrite", action="store_true", help="replace results that exist")


def run_train(args):
    if args.stop_after < 0:
        raise InputError(f"--stop-after must be at least 0, not {args.stop_after}.")
    parallel.start()
    options = {f.name: getattr(args, f.name) for f in fields(Config) if f.name in args}
    if args.resume:
        if args.out or args.preset:
            raise InputError("--resume goes on in its own folder with its own options; "
                             "leave --out and --preset away.")
        return resume(args.resume, args.stop_after, **options)
    config = Config(**PRESETS[args.preset or "toy"] | options)
    out = args.out or free_name(Path("runs") / Path(config.data).name)
    return train(config, parallel.from_first(str(out)), args.stop_after)


def free_name(path):
    """path, or path-2, path-3, ...: the first that does not exist."""
    name, n = path, 2
    while name.exists():
        name, n = path.with_name(f"{path.name}-{n}"), n + 1
    return name


def run_translate(args):
    if args.model:
        run = shipped_model(args.model)
        inputs = args.paths or [Path(toy_set()) / ("testA" if args.to == "B" else "testB")]
    elif len(args.paths) < 2:
        raise InputError("name a RUN, then the images or folders of them; or take --model toy.")
    else:
        run, *inputs = args.paths
    out = args.out or Path(f"fake_{args.to}")
    files = translate(run, args.to, inputs, out, args.overwrite, args.device)
    print(f"{len(files)} images in {out}")


def toy_set():
    """Where the toy set is; it is drawn there if it is missing."""
    if not Path(TOY).exists():
        print(f"drawing the toy set into {TOY}")
        draw_dataset(TOY)
    return TOY


def run_evaluate(args):
    if bool(args.path) == bool(args.model):
        raise InputError("name either a RUN or --model toy.")
    if args.kid and args.picture or not args.kid and (args.split or args.classes):
        raise InputError("--split and --classes belong to --kid, --picture to scores without it; "
                         "leave out what does not fit.")
    if args.classes and (args.kid != "efficientnet" or not 0 <= min(args.classes)
                         or max(args.classes) > 999):
        raise InputError("--classes takes two numbers from 0 to 999, with --kid efficientnet.")
    check_new(args, args.json, args.picture)
    if args.picture and args.picture.suffix.lower() != ".png":
        raise InputError(f"--picture {args.picture} must end in .png.")
    source = args.path or shipped_model(args.model)
    checkpoint, device = load_checkpoint(source), pick_device(args.device)
    config = as_config(checkpoint["config"], source)
    generators = [load_generator(source, to, device)[0] for to in "BA"]
    data = args.data or (toy_set() if args.model else config.data)
    run = None if args.model else Path(source) if Path(source).is_dir() else Path(source).parent
    suffix = f"_{Path(args.data).name}" if args.data else ""
    if args.kid:
        scores = evaluate_unpaired(*generators, data, args.split or "test", config.size,
                                   config.channels, args.kid, args.classes, device)
        scores["protocol"]["checkpoint"] = f"{args.model or source}, step {checkpoint.get('step')}"
        print(table(scores))
        file = args.json or run and run / f"scores_kid_{args.kid}{suffix}.json"
        if file:
            file.write_text(json.dumps(scores, indent=2) + "\n")
            print(f"these scores are in {file}")
        return
    bad = {}
    check_images(list_tests(data), bad, side=config.size)
    if bad and not config.skip_bad:
        raise bad_images(bad)
    pairs = PairedImages(data, config.size, config.channels, bad)
    picture = args.picture or run and run / f"scores{suffix}.png"
    print(write_scores(*generators, pairs, device, args.json, picture))
    if picture:
        print(f"the best, the median and the worst are in {picture}")


def check_new(args, *files):
    for file in files:
        if file and file.exists() and not args.overwrite:
            raise InputError(f"{file} exists already; name another file, or add --overwrite.")


def run_report(args):
    print(f"the run's page is {write_report(args.path)}")


def run_export(args):
    check_new(args, args.file)
    export_generators(args.path, args.file)
    print(f"{args.file}: two generators, {args.file.stat().st_size / 1e6:.1f} MB; translate with:\n"
          f"  minicyclegan translate {args.file} --to B IMAGES")


def run_ablate(args):
    for name in ("seeds", "jobs"):
        if getattr(args, name) is not None and not 1 <= getattr(args, name) <= 1000:
            raise InputError(f"--{name} must be from 1 to 1000, not {getattr(args, name)}.")
    common = {k: getattr(args, k) for k in ("data", "steps", "device") if k in args}
    return ablate(args.out, parse_settings(args.settings), args.seeds, args.jobs, args.results,
                  **common)


def run_hiding(args):
    rows = hiding_of_runs(args.models, args.data, args.device)
    first = Path(args.models[0])
    out = args.out or (first if first.is_dir() else first.parent)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "hiding.csv", rows)
    curves(rows, out / "hiding.png")
    print(survival(rows))
    print(f"the curves are in {out / 'hiding.png'}")


def run_draw(args):
    if not 8 <= args.size <= 2048:
        raise InputError(f"--size must be at least 8 and at most 2048, not {args.size}.")
    draw_dataset(args.folder, args.size, args.seed)
    print(f"drew the toy set into {args.folder}")


def run_download(args):
    out = args.out or Path("data") / args.name
    images, skipped = download(args.name, args.source, out)
    print(f"{out}: {', '.join(f'{count} images in {split}' for split, count in images.items())}"
          + (f"; {skipped} other files left out" if skipped else ""))
    print(f"train on it with:\n  minicyclegan train --preset paper --data {out}")


def main(arguments=None):
    """Run a command. Returns the exit code: 0, 2 for input that cannot be used, 128 + signal."""
    matplotlib.use("Agg")  # pictures go to files: no window system is needed
    # Oddities inside an image and letters that the font lacks: nothing that a user could mend.
    warnings.filterwarnings("ignore", module="PIL")
    warnings.filterwarnings("ignore", "Glyph .* missing")
    for stream in (sys.stdout, sys.stderr):  # odd file names must not stop what prints them
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    args = parser().parse_args(arguments)
    try:
        return args.run(args) or 0
    except InputError as error:
        if parallel.rank():  # process 0 most likely says the same, and torchrun ends this one
            time.sleep(5)
        print(f"minicyclegan {args.command}: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, a folder that may not be written to
        print(f"minicyclegan {args.command}: {error.filename or 'a file'} could not be read or "
              f"written ({error.strerror or error}).", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        print(f"minicyclegan {args.command}: there is not enough memory for this; close other "
              "programs, or use smaller images.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"minicyclegan {args.command}: interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
