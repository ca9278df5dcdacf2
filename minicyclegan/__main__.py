"""The command line: minicyclegan train, translate, evaluate, ...

Options come in, and one function is called. The commands that measure and show are in
lab/commands.py, which is only loaded where one of them is asked for.
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from . import __version__
from .config import PRESETS, Config, make_config
from .engine import parallel
from .engine.errors import InputError, command
from .engine.options import dashed
from .engine.pretrained import export_generators, shipped_models
from .engine.terminal import Parser, guarded, quieten
from .train import resume, train
from .translate import ARCHITECTURE, AUTHORS, load_networks, translate

LAB = {  # in lab/commands.py
    "evaluate": "score a run against the true counterparts of its test images, or without (--fid)",
    "report": "write report.html into a run: all that it shows, in one page",
    "ablate": "train the paper's variants, or settings of your own, and measure them",
    "hiding": "see how much of the way back a fake holds in faint patterns",
    "draw": "draw the toy set: horses, zebras, and their counterparts",
    "download": "download and unpack one of the paper's data sets",
}


def parser(lab=False):
    """The parser; with `lab` the lab's commands too, not only their names."""
    main = Parser(prog="minicyclegan", description="CycleGAN, small and readable. A to B and back, "
                  "from unpaired images.", epilog="start with: minicyclegan train")
    main.add_argument("--version", action="version", version=f"minicyclegan {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, run, help, example):
        sub = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".",
                                  epilog=f"example: minicyclegan {example}")
        sub.set_defaults(run=run)
        return sub

    sub = add("train", run_train, "train on a folder of images, or on the toy set",
              "train --data horse2zebra --size 128 --out runs/horses")
    sub.add_argument("--preset", choices=list(PRESETS),
                     help="where the options start: toy (default; about a minute on a CPU), photos "
                          "(96×96, hours on a CPU) or paper (256×256, the paper's recipe)")
    sub.add_argument("--out", type=Path, metavar="RUN",
                     help="folder of the run (default: runs/ and the name of the data)")
    sub.add_argument("--resume", type=Path, metavar="RUN",
                     help="go on with a run where it stopped; it keeps its options")
    sub.add_argument("--stop-after", type=int, default=0, metavar="INT",
                     help="save and leave after so many steps, to be resumed later (0: never)")
    for f in fields(Config):
        defaults = [f"{name}: {options[f.name]}" for name, options in PRESETS.items()
                    if options.get(f.name, f.default) != f.default]
        text = f"{f.metadata['help']} ({'; '.join([str(f.default), *defaults])})"
        flag = f"--{dashed(f.name)}"
        if f.type is bool:
            sub.add_argument(flag, action=argparse.BooleanOptionalAction,
                             default=argparse.SUPPRESS, help=text)
        else:
            sub.add_argument(flag, type=f.type, default=argparse.SUPPRESS, help=text,
                             choices=f.metadata["choices"],
                             metavar=None if f.metadata["choices"] else f.type.__name__.upper())

    sub = add("translate", run_translate, "translate images with a trained generator",
              "translate runs/toy --to B data/toy/testA --out zebras")
    sub.add_argument("paths", nargs="*", metavar="RUN INPUT", help="run folder or checkpoint "
                     "file, unless there is --model; then image files, or folders of them "
                     "(--model toy: its own test images, if there are no others)")
    sub.add_argument("--model", choices=list(shipped_models()), help="a trained model that comes "
                     "with the package, in place of RUN")
    sub.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps, ...")
    sub.add_argument("--to", choices=("A", "B"), default="B", help="the domain to translate to (B)")
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder for the results, under the "
                     "names of the inputs (default: fake_B or fake_A)")
    sub.add_argument("--overwrite", action="store_true", help="replace results that exist")
    sub.add_argument("--skip-existing", action="store_true", help="leave images alone whose result "
                     "is there: goes on with what broke off")
    sub.add_argument("--size", type=int, metavar="N", help="bring the shorter side of every image "
                     "to N pixels first, that of training for one (default: as it is)")
    sub.add_argument("--shrink", action="store_true",
                     help="make images smaller that would not fit into memory")

    sub = add("export", run_export, "write a run's generators to a small file",
              "export runs/toy toy.pt")
    sub.add_argument("path", metavar="RUN", help="run folder, or a checkpoint file")
    sub.add_argument("file", type=Path, metavar="FILE", help="a new file")
    sub.add_argument("--half", action="store_true", help="in 16-bit floats, half the size")
    sub.add_argument("--overwrite", action="store_true", help="replace results that exist")

    if lab:
        from .lab.commands import add_commands
        add_commands(add)
    else:
        for name, help in LAB.items():
            commands.add_parser(name, help=help, add_help=False)
    return main


def run_train(args):
    if args.stop_after < 0:
        raise InputError(f"--stop-after must be at least 0, not {args.stop_after}.")
    parallel.start()
    named = {f.name: getattr(args, f.name) for f in fields(Config) if f.name in args}
    if args.resume:
        if args.out or args.preset:
            raise InputError("--resume goes on in its own folder with its own options; "
                             "give neither --out nor --preset.")
        return resume(args.resume, args.stop_after, **named)
    config = make_config(args.preset or "toy", brought=architecture(named), **named)
    out = args.out or free_name(Path("runs") / Path(config.data).resolve().name)
    return train(config, parallel.from_first(str(out)), args.stop_after)


def architecture(named):
    """What --init brings with it: the options that its networks were made with. InputError where
    one of them is named otherwise."""
    path = named.get("init", "")
    if not path or any((Path(path) / file).exists() for file in AUTHORS.values()):
        return {}
    networks, config = load_networks(path)
    brought = {name: getattr(config, name) for name in ARCHITECTURE
               if not ("G" in networks and name.startswith("disc"))}  # theirs without D
    for name, value in brought.items():
        fixed = "D_B" in networks or not name.startswith("disc")
        if fixed and named.get(name, value) != value:
            raise InputError(f"--{dashed(name)} {named[name]} does not fit the networks in {path}, "
                             f"which have {value}; leave it out.")
    return brought


def free_name(path):
    """path, or path-2, path-3, ...: the first that does not exist."""
    name, n = path, 2
    while name.exists():
        name, n = path.with_name(f"{path.name}-{n}"), n + 1
    return name


def run_translate(args):
    if args.model:
        run = shipped_models()[args.model]
        inputs = args.paths
        if not inputs and args.model == "toy":
            from .lab.toy import toy_set
            inputs = [toy_set() / ("testA" if args.to == "B" else "testB")]
    else:
        run, *inputs = args.paths or [None]
    if not inputs:
        raise InputError("name a RUN, then the images or folders of them; or take --model toy.")
    out = args.out or Path(f"fake_{args.to}")
    files = translate(run, args.to, inputs, out, args.overwrite, args.device, args.skip_existing,
                      args.shrink, args.size)
    print(f"{len(files)} image{'s' * (len(files) != 1)} in {out}")


def run_export(args):
    if args.file.exists() and not args.overwrite:
        raise InputError(f"{args.file} exists already; name another file, or add --overwrite.")
    export_generators(args.path, args.file, args.half)
    print(f"{args.file}: {args.file.stat().st_size / 1e6:.1f} MB; translate with:\n  "
          + command("translate", args.file, "--to", "B", "IMAGES"))


def main(arguments=None):
    """Run a command. Returns the exit code: 0, 2 for input that cannot be used, 128 + signal."""
    quieten()
    arguments = sys.argv[1:] if arguments is None else [str(word) for word in arguments]
    args = parser(lab=bool(arguments) and arguments[0] in LAB).parse_args(arguments)
    return guarded(args.command, lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
