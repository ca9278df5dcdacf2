"""Options that know their bounds: a dataclass of them is checked in one go."""

import math
from dataclasses import field, fields

from .errors import InputError, shown


def option(default, help, choices=None, least=-math.inf, most=math.inf):
    """A field of a dataclass: its default, a line of help, and what its value may be."""
    return field(default=default, metadata=dict(help=help, choices=choices, least=least,
                                                most=most))


def dashed(name):
    return name.replace("_", "-")


def check_options(options):
    """InputError for the first option of a dataclass that is of another type, or out of bounds."""
    for f in fields(options):
        value, rule, wanted = getattr(options, f.name), f.metadata, ""
        if f.type is float and type(value) is int:
            value = float(value)
            setattr(options, f.name, value)
        if type(value) is not f.type:
            wanted = f"of type {f.type.__name__}"
        elif rule["choices"]:
            if value not in rule["choices"]:
                wanted = f"one of {', '.join(map(str, rule['choices']))}"
        elif f.type in (int, float) and not (
                rule["least"] <= value <= rule["most"] and value < math.inf):  # also not a number
            most = "finite" if rule["most"] == math.inf else f"at most {rule['most']}"
            wanted = f"{most} and at least {rule['least']}"
        if wanted:
            raise InputError(f"--{dashed(f.name)} must be {wanted}, not {shown(repr(value))}.")
