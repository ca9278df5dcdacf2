"""Writes the instructor's notes from the wrong answers of this folder:

    python tests/answers/notes.py > lessons/assignments/NOTES.md
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "lessons" / "assignments"))

from check import read_master  # noqa: E402

IDEAS = {  # what to talk about when a question went badly
    "a1-to-tensor": "Print the shape and the type after each operation. What moves an axis, and "
                    "what only counts the same numbers anew?",
    "a1-to-image": "The way back undoes each step of the way there, in the opposite order. What "
                   "can a byte not hold?",
    "a1-draw": "Write down the starts of epoch 1 and of epoch 2 as numbers. Is any of them in both "
               "lists?",
    "a1-augment": "Name the first and the last place where a square can begin. Which numbers does "
                  "your function draw, the ends included?",
    "a1-discriminator-loss": "Draw the loss of one score by hand, from -200 to 200. Where does a "
                             "32-bit sigmoid become exactly 0 or 1?",
    "a1-generator-loss": "What does D tell G about a fake that it is sure of? Compare the slopes, "
                         "not the values.",
    "a1-step": "Draw the graph of each half, and mark whose weights the gradient reaches, and what "
               "still lies there from the half before.",
    "a1-values": "Let your own functions check the numbers.",
    "a2-values": "Walk through the layers with one pixel row and count.",
    "a2-instance-norm": "Over which numbers is the mean taken? Name the axes that stay.",
    "a2-residual-block": "What comes out when f gives 0? And at the edge of a plain image?",
    "a2-generator": "Print the shape after each layer, and compare it with the table line by line.",
    "a2-receptive-field": "Begin at one score and ask of each layer: from how many places before "
                          "it does this come?",
    "a2-discriminator": "Change one pixel of the image: which scores change?",
    "a3-reconstruction": "Work out the loss of four numbers by hand. What is its slope where both "
                         "are equal?",
    "a3-least-squares": "Two scores of 0 and 2 have the mean 1. Are they right?",
    "a3-cycle": "Which weights must move so that the way back gets better? Follow the gradient "
                "from the loss to each of them.",
    "a3-identity": "What does a generator see, and what should come out? Say it with horses.",
    "a3-pool": "Play the pool with five cards and a coin. Whose memory does each card lie in?",
    "a3-schedule": "Write down the factors of a run of five epochs, two of them flat.",
    "a3-values": "Let your own functions check the numbers.",
    "a4-six-images": "Draw the two triangles of lesson 06, and write the six names into them.",
    "a4-generator-loss": "Make all but one of the six images perfect: what is left of the sum?",
    "a4-discriminator-loss": "Who must not learn from this loss, and where does its gradient stop?",
    "a4-step": "Write down, line by line, which gradients are 0, old or new.",
    "a4-average": "What is a parameter, what is a buffer, and which of them is trained?",
    "a4-diversity": "Three plain images, -1, 0 and 1: how many pairs are there?",
    "a4-values": "Let your own functions check the numbers.",
}


def answers_to(path):
    """tests/answers/aN.py of a master: WRONG and RIGHT."""
    name = path.stem.split("_")[0]
    spec = importlib.util.spec_from_file_location(f"answers_{name}",
                                                  Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def notes():
    text = ["# What students get wrong", "By question: what to talk about, and wrong answers that "
            "the tests know. Each of them loses points. `tests/answers/notes.py` writes this page "
            "from them."]
    for path in sorted((ROOT / "lessons" / "assignments").glob("a[0-9]_*.ipynb")):
        master, wrong = read_master(path), answers_to(path).WRONG
        heading = master.notebook.cells[0].source.splitlines()[0]
        text.append("#" + heading)
        for q in master.questions:
            known = [what for question, what, *_ in wrong if question == q.name]
            if known:
                text += [f"### {q.title}", IDEAS[q.name],
                         "\n".join(f"- {what}" for what in known)]
    return "\n\n".join(text) + "\n"


if __name__ == "__main__":
    print(notes(), end="")
