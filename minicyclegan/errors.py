"""The one exception for input that cannot be used."""


class InputError(ValueError):
    """A file or an option that the user gave cannot be used.

    The message is one sentence for the user: it names the file or the option and says what to
    do. The command line prints it and exits with code 2; a library user can catch it.
    """
