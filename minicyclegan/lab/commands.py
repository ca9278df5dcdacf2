"""The commands that measure, draw and show: evaluate, report, ablate, hiding, draw, download."""

import argparse
from pathlib import Path

from tqdm import tqdm

from ..config import Config
from ..engine.checkpoint import write_csv, write_json
from ..engine.device import pick_device
from ..engine.errors import InputError, command
from ..engine.pretrained import shipped_models
from .ablate import VARIANTS, ablate, parse_settings
from .download import DATASETS, download
from .evaluate import evaluate, kept_files, kept_table, load_both, read_pairs, write_scores
from .fid import fid_scores, fid_table
from .hiding import curves, hiding_of_runs, survival
from .report import write_report
from .toy import draw_dataset, toy_set


def add_commands(add):
    """Add every command by `add(name, run, help, example)`, which returns its parser."""
    sub = add("evaluate", run_evaluate, "score a run against the true counterparts of its test "
              "images, or without them (--fid)", "evaluate runs/toy --json scores.json")
    sub.add_argument("path", nargs="?", metavar="RUN", help="run folder, or a checkpoint file")
    sub.add_argument("--model", choices=list(shipped_models()), help="a trained model that comes "
                     "with the package, in place of RUN")
    sub.add_argument("--data", metavar="DIR", help="folder with testA and testB, which pair by "
                     "file name unless there is --fid (default: the run's)")
    sub.add_argument("--kept", action="store_true", help="compare the generators of earlier steps "
                     "that train --keep-every has left in the run, and tell the best")
    sub.add_argument("--fid", action="store_true", help="score without pairs: KID and FID, how far "
                     "the fakes as a set are from the real images; needs minicyclegan[fid]")
    sub.add_argument("--split", choices=("test", "train"), help="of --fid: the images (test)")
    sub.add_argument("--json", type=Path, metavar="FILE", help="write the scores there")
    sub.add_argument("--picture", type=Path, metavar="FILE", help="draw the best, the median and "
                     "the worst image there (default: scores.png in the run, renewed)")
    sub.add_argument("--overwrite", action="store_true", help="replace results that exist")
    add_device(sub)

    sub = add("report", run_report, "write report.html into a run: all that it shows, in one page",
              "report runs/toy")
    sub.add_argument("path", metavar="RUN", help="run folder, done or not")

    sub = add("ablate", run_ablate, "train the paper's variants, or settings of your own, with "
              "several seeds, and measure them against the truth",
              'ablate full "squares: adversarial=least_squares" --seeds 8')
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
    sub.add_argument("--data", default=argparse.SUPPRESS, metavar="DIR", help="folder with trainA, "
                     "trainB, and testA and testB which pair by file name (data/toy)")
    sub.add_argument("--steps", type=int, default=argparse.SUPPRESS, metavar="N",
                     help=f"steps of each run ({Config().steps})")
    sub.add_argument("--jobs", type=int, metavar="N",
                     help="runs at a time (default: as many as cores, on a GPU 1)")
    add_device(sub, argparse.SUPPRESS)

    sub = add("hiding", run_hiding, "see how much of the way back a fake holds in faint patterns: "
              "damage it, and measure", "hiding runs/toy")
    sub.add_argument("models", nargs="+", metavar="RUN",
                     help="run folders, or checkpoint files; several are averaged")
    sub.add_argument("--data", metavar="DIR", help="folder with testA and testB, which pair by "
                     "file name (default: the run's)")
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder for hiding.csv and "
                     "hiding.png, which are renewed (default: the first run's)")
    add_device(sub)

    sub = add("draw", run_draw, "draw the toy set: horses, zebras, and their counterparts",
              "draw data/toy --size 64 --seed 0")
    sub.add_argument("folder", type=Path, metavar="DIR", help="a new folder")
    sub.add_argument("--size", type=int, default=64, metavar="N", help="pixels a side (64)")
    sub.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, other scenes")

    sub = add("download", run_download, "download and unpack one of the paper's data sets",
              "download horse2zebra")
    sub.add_argument("name", metavar="NAME", help=", ".join(DATASETS) + "; or any, with --from")
    sub.add_argument("--from", dest="source", metavar="URL_OR_FILE",
                     help="a zip elsewhere: a mirror, or one on this disk (default: the authors')")
    sub.add_argument("--out", type=Path, metavar="DIR", help="a new folder (default: data/NAME)")


def add_device(sub, default="auto"):
    sub.add_argument("--device", default=default, help="auto (default), cpu, cuda, mps, ...")


def run_evaluate(args):
    if bool(args.path) == bool(args.model):
        raise InputError("name either a RUN or --model toy.")
    if args.split and not args.fid:
        raise InputError("--split belongs to --fid; leave it out, or add --fid.")
    if args.picture and (args.fid or args.kept):
        raise InputError("--picture shows the pairs of one model; leave it out with --fid and "
                         "with --kept.")
    if args.picture and args.picture.suffix.lower() != ".png":
        raise InputError(f"--picture {args.picture} must end in .png.")
    for file in (args.json, args.picture):
        if file and file.exists() and not args.overwrite:
            raise InputError(f"{file} exists already; name another file, or add --overwrite.")
        if file and not file.parent.is_dir():
            raise InputError(f"{file.parent} is not a folder; make it first.")
    if args.json and args.json == args.picture:
        raise InputError("--json and --picture name the same file; name two.")
    source = shipped_models()[args.model] if args.model else Path(args.path)
    run = source if source.is_dir() else None  # a file has no folder that results belong to
    files = kept_files(source) if args.kept else {None: source}
    device, pairs, scores = pick_device(args.device), None, {}
    suffix = f"_{Path(args.data).resolve().name}" if args.data else ""
    for step, file in tqdm(files.items(), "evaluating", leave=False, disable=not args.kept):
        G_AB, G_BA, config = load_both(file, device)
        data = args.data or (toy_set() if args.model == "toy" else config.data)
        if args.fid:
            scores[step] = fid_scores(G_AB, G_BA, data, args.split or "test", config.size,
                                      config.channels, device, args.model or file)
        elif not config.pairs and not args.data:
            raise InputError(f"{source} takes its test images for no pairs (--no-pairs); score it "
                             f"without: {command('evaluate', source, '--fid')}")
        elif args.kept:
            pairs = pairs or list(read_pairs(data, config))
            scores[step] = evaluate(G_AB, G_BA, pairs, device)[0]
        else:
            picture = args.picture or run and run / f"scores{suffix}.png"
            print(write_scores(G_AB, G_BA, read_pairs(data, config), device, args.json, picture))
            if picture:
                print(f"the best, the median and the worst are in {picture}")
            return
    target = args.json
    if args.kept:
        best, text = kept_table(scores)
        print(f"{text}\ntranslate with the best:\n  "
              + command("translate", files[best], "--to", "B", "IMAGES"))
    else:
        scores = scores[None]  # of the one model
        print(fid_table(scores))
        split = "_train" if args.split == "train" else ""
        target = target or run and run / f"scores_fid{suffix}{split}.json"
    if target:
        write_json(target, scores)
        print(f"these scores are in {target}")


def run_report(args):
    print(f"the run's page is {write_report(args.path)}")


def run_ablate(args):
    for name in ("seeds", "jobs"):
        if getattr(args, name) is not None and not 1 <= getattr(args, name) <= 1000:
            raise InputError(f"--{name} must be from 1 to 1000, not {getattr(args, name)}.")
    common = {k: getattr(args, k) for k in ("data", "steps", "device") if k in args}
    ablate(args.out, parse_settings(args.settings), args.seeds, args.jobs, args.results, **common)


def run_hiding(args):
    first = Path(args.models[0])
    if not args.out and first.is_file():
        raise InputError(f"{first} is a file, and beside it is no place for results; say where "
                         "they go with --out.")
    out = args.out or first
    rows = hiding_of_runs(args.models, args.data, args.device)
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
    print("train on it with:\n  " + command("train", "--preset", "paper", "--data", out))
