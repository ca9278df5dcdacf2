"""The door to the terminal: arguments that are told apart, and errors that become one sentence."""

import argparse
import os
import sys
import time
import warnings

from . import parallel
from .device import out_of_memory
from .errors import InputError


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage lines."""

    def __init__(self, **settings):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter,
                         allow_abbrev=False, **settings)

    def parse_args(self, arguments):
        for before, word in zip(["the first argument", *arguments], arguments, strict=False):
            if not word or (word.startswith("--") and word.endswith("=")):
                self.error(f"{(word or before).rstrip('=')} is followed by nothing; give a value")
        args, more = self.parse_known_args(arguments)
        # argparse fills a list from one place alone, and RUN --to B INPUT has two
        if more and "paths" in args and not any(word.startswith("-") for word in more):
            args.paths += more
        elif more:
            self.error(f"unrecognized arguments: {' '.join(more)}")
        return args

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def quieten():
    """What libraries say to the terminal and nobody could mend is not said."""
    os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to files: no window system is needed
    # Oddities inside an image and letters that the font lacks: nothing that a user could mend.
    warnings.filterwarnings("ignore", module="PIL")
    warnings.filterwarnings("ignore", "Glyph .* missing")
    for stream in (sys.stdout, sys.stderr):  # odd file names must not stop what prints them
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def guarded(name, run):
    """Run a command. Returns its exit code, 2 for what a user can put right, 130 after Ctrl-C;
    either with one sentence on stderr."""
    say = f"minicyclegan {name}:"
    try:
        return run() or 0
    except InputError as error:
        if parallel.rank():  # process 0 most likely says the same, and torchrun ends this one
            time.sleep(5)
        print(say, error, file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, a folder that may not be written to
        print(f"{say} {error.filename or 'a file'} could not be read or written "
              f"({error.strerror or error}).", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        print(f"{say} there is not enough memory for this; close other programs, or use smaller "
              "images.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{say} interrupted.", file=sys.stderr)
        return 130
