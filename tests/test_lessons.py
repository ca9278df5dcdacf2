"""That the lessons keep what lessons/README.md promises. They are run elsewhere, by nbval:

    pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=300 lessons
"""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "lessons").glob("[0-9][0-9]_*.ipynb"))
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_there_are_thirteen():
    assert [path.name[:2] for path in LESSONS] == [f"{n:02}" for n in range(1, 14)]


@every_lesson
def test_small_cells_run_from_top_to_bottom(path):
    assert path.stat().st_size < 2**20
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        lines = source(cell).splitlines()
        assert len(lines) <= 25 and all(len(line) <= 100 for line in lines), source(cell)
        for output in cell["outputs"]:
            assert output["output_type"] != "error" and output.get("name") != "stderr"
            assert "image/svg+xml" not in output.get("data", {})
            assert "<Figure" not in str(output.get("data", {}).get("text/plain", ""))


@every_lesson
def test_each_has_its_parts(path):
    text = [source(cell) for cell in cells(path, "markdown")]
    whole = "\n".join(text)
    assert text[0].startswith(f"# {path.name[:2]}  ") and re.search("「.+」", text[0])
    assert "Predict, then run" in whole
    for part in ("Recap", "What changed", "Exercises"):
        assert re.search(rf"^(##+|\*\*).*{part}", whole, re.M | re.I), part
    assert "<summary>Hint" in whole and "arxiv.org/abs/1703.10593" in whole
    following = [lesson.name for lesson in LESSONS if lesson.name > path.name][:1]
    assert all(f"({name})" in whole for name in following)


@every_lesson
def test_links_lead_somewhere(path):
    for cell in cells(path, "markdown"):
        for link in re.findall(r"\]\((?!http|attachment)([^)#]+)", source(cell)):
            assert (path.parent / link).exists(), link


def definitions(text):
    """The functions and classes of some Python, by name, without docstrings and comments."""
    found = {}
    for node in ast.parse(text).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                found[node.name] = node
            case ast.Assign([ast.Attribute(ast.Name(owner), name)], ast.Name(function)) if (
                    owner in found and name == function):
                found[owner].body.append(found.pop(name))  # a class spread over several cells
    for node in found.values():
        for part in ast.walk(node):
            if isinstance(part, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(part):
                part.body = part.body[1:]
        if isinstance(node, ast.ClassDef):  # in whatever order the lesson comes to its methods
            node.body.sort(key=lambda part: getattr(part, "name", ""))
    return {name: ast.unparse(node) for name, node in found.items()}


PACKAGE = {name: text for path in (ROOT / "minicyclegan").rglob("*.py")
           for name, text in definitions(path.read_text()).items()}
BUILT = {"02": {"Generator", "ResidualBlock", "UNet"}, "03": {"Discriminator"},
         "04": {"adversarial", "discriminator"}, "05": {"reconstruction"},
         "08": {"ImagePool", "identity", "learning_rate_factor"}, "09": {"psnr", "ssim"}}


@every_lesson
def test_what_a_lesson_builds_is_what_the_package_ships(path):
    """A name that the package has too stands for the package's own code, at its last definition."""
    code = "\n".join(source(cell) for cell in cells(path, "code"))
    made = definitions(re.sub(r"^[%!].*$", "", code, flags=re.M))
    assert BUILT.get(path.name[:2], set()) <= made.keys()
    for name in made.keys() & PACKAGE.keys():
        assert made[name] == PACKAGE[name], name
