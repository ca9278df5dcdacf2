"""Options that know their bounds: a dataclass of them is checked in one go."""

import math
from dataclasses import field, fields

from .errors import InputError, shown


def option(default, help, choices=None, least=None, most=None):
    """A field of a dataclass: its default, a line of help, and what its value may be."""
    return field(default=default, metadata=dict(help=help, choices=choices, least=least,
                                                most=most))


def dashed(name):
    return name.replace("_", "-")


def check_options(options):
    """InputError for the first option of a dataclass that is of another type, or out of bounds."""
    for f in fields(options):
        flag, value, rule = f"--{dashed(f.name)}", getattr(options, f.name), f.metadata
        if f.type is float and type(value) is int:
            value = float(value)
            setattr(options, f.name, value)
        if type(value) is not f.type:
            raise InputError(f"{flag} must be of type {f.type.__name__}, not "
                             f"{shown(repr(value))}.")
        if rule["choices"] and value not in rule["choices"]:
            raise InputError(f"{flag} is one of {', '.join(map(str, rule['choices']))}, "
                             f"not {value!r}.")
        if rule["least"] is not None and not value >= rule["least"]:  # also not a number
            raise InputError(f"{flag} must be at least {rule['least']}, not {value}.")
        if rule["most"] is not None and value > rule["most"]:
            raise InputError(f"{flag} must be at most {rule['most']}, not {value}.")
        if value == math.inf:
            raise InputError(f"{flag} must be finite.")
