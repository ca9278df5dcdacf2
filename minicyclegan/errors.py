"""The one exception for input that cannot be used, and file names in its messages."""


class InputError(ValueError):
    """A file or an option that the user gave cannot be used.

    The message is one sentence for the user: it names the file or the option and says what to
    do. The command line prints it and exits with code 2; a library user can catch it.
    """


def shown(path):
    """A file's name for a message: as it is, or quoted where it has line breaks or the like."""
    return str(path) if str(path).isprintable() else repr(str(path))
