"""What is said to the user: the one exception for input that cannot be used, and what it names."""

import shlex
from pathlib import Path


class InputError(ValueError):
    """A file or an option that the user gave cannot be used.

    The message is one sentence for the user: it names the file or the option and says what to
    do. The command line prints it and exits with code 2; a library user can catch it.
    """


def shown(path):
    """A file's name, or anything else that was read, for a message: as it is, but cut where it is
    long, and quoted where it has line breaks or the like."""
    text = str(path) if len(str(path)) < 300 else f"{str(path)[:300]} ..."
    return text if text.isprintable() else repr(text)


def command(*words):
    """A command to copy: "minicyclegan train --resume 'my runs/toy'", quoted for the shell. A Path
    that begins with a dash would be taken for an option."""
    words = [f"./{w}" if isinstance(w, Path) and str(w).startswith("-") else str(w) for w in words]
    return shlex.join(["minicyclegan", *words])
