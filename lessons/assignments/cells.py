"""The cells of an assignment: read a master, make the release, put a student's answers in.

A master is a notebook whose code cells carry nbgrader's metadata (schema 3):

    answer cell   solution                the student writes here; a release shows a stub
    test cell     grade, locked, points   asks about the answer cells in front of it
    locked cell   locked                  imports, numbers to work with
    by hand       solution, grade, points an answer that a person reads, no test

Of a submission nothing is taken but the text of its answer cells: tests, points and everything
else come from the master. A cell is known by its grade_id; where an editor has lost that, by its
cell id; where that is gone too, by the first line, which says the same name.
"""

import ast
import copy
import re
import secrets
from dataclasses import dataclass

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from minicyclegan.errors import InputError, shown
from nbval.plugin import comment_markers

LARGEST_NOTEBOOK = 25_000_000  # bytes: pictures in the outputs take room
LARGEST_ANSWER = 100_000  # characters

REGION = re.compile(r"^(\s*)### (BEGIN|END) (SOLUTION|HIDDEN TESTS)\s*$")
MARKER = re.compile(r"#.*\b(BEGIN|END)\s+(SOLUTION|HIDDEN)\w*", re.I)
FIRST_LINE = re.compile(r"\s*(?:#|<!--)\s*([A-Za-z0-9_-]+)")
SEED = re.compile(r"^SEED = \d+", re.M)


@dataclass
class Question:
    """What points are given for: one test cell, or one answer read by a person."""

    name: str  # a1-draw
    points: float
    answers: list  # grade_ids of the answer cells
    test: str | None  # grade_id of the test cell; None: graded by hand


@dataclass
class Master:
    """A notebook that asks: a master, or for `check` the student's own release version."""

    name: str  # a1_data_and_one_step
    cells: dict  # grade_id to cell, in order; only cells that carry nbgrader's metadata
    questions: list
    notebook: nbformat.NotebookNode

    @property
    def points(self):
        return sum(q.points for q in self.questions)


def read_notebook(data, name):
    """Bytes of an .ipynb file to a notebook of format 4, whatever format 3 or 4 it was.

    `name` is for messages. Raises InputError for what is no notebook, or too large.
    """
    if len(data) > LARGEST_NOTEBOOK:
        raise InputError(f"{shown(name)} has {len(data) / 1e6:.0f} MB; clear its outputs and hand "
                         f"in at most {LARGEST_NOTEBOOK / 1e6:.0f} MB.")
    try:
        notebook = nbformat.reads(data.decode("utf-8-sig"), as_version=4)
        assert isinstance(notebook["cells"], list)
        assert all(isinstance(cell, dict) for cell in notebook["cells"])
    except Exception as error:  # conversion meets anything that a file can hold
        raise InputError(f"{shown(name)} is not a notebook of format 3 or 4 "
                         f"({type(error).__name__}); save it again in Jupyter.") from None
    for cell in notebook.cells:
        source = cell.get("source", "")
        cell.source = "".join(map(str, source)) if isinstance(source, list) else str(source)
        if not isinstance(cell.get("metadata"), dict):
            cell.metadata = nbformat.NotebookNode()
    return notebook


def read_master(path, students=False):
    """A master, or with `students` a student's own notebook, which may have cells twice; from a
    file. InputError says what is wrong with it."""
    notebook = read_notebook(path.read_bytes(), path)
    cells, questions, answers, asked = {}, [], [], False

    def wrong(text):
        return InputError(f"{shown(path)}: {text}.")

    for cell in notebook.cells:
        grader = cell.metadata.get("nbgrader")
        if not isinstance(grader, dict):
            continue
        label = grader.get("grade_id")
        if students and isinstance(label, str) and label in cells:
            continue
        if not isinstance(label, str) or label in cells:
            raise wrong(f"the grade_id {label!r} is not a name, or is given twice")
        cells[label] = cell
        test = grader.get("grade") and not grader.get("solution")
        points = grader.get("points")
        if grader.get("grade") and not (isinstance(points, (int, float)) and points >= 0):
            raise wrong(f"the cell {label} has no points")
        if grader.get("solution") and grader.get("grade"):
            questions.append(Question(label, points, [label], None))
        elif grader.get("solution"):
            answers = [label] if asked else [*answers, label]  # a new question begins here
            asked = False
        elif test:
            if not answers:
                raise wrong(f"the test cell {label} comes before any answer cell")
            questions.append(Question(label.removesuffix("-tests"), points, answers, label))
            hidden_tests(cell.source, wrong)
            asked = True
    if not questions:
        raise wrong("no cell in it gives points; is it an assignment, and has an editor dropped "
                    "its metadata? Take a fresh copy")
    return Master(path.stem, cells, questions, notebook)


def hidden_tests(source, wrong=InputError):
    """A test cell's text in two: what everybody sees, and its hidden tests, or ''."""
    visible, hidden, inside, over = [], [], False, False
    for line in source.splitlines():
        region = REGION.match(line)
        if region and region[3] == "HIDDEN TESTS":
            if region[1] or over or inside == (region[2] == "BEGIN"):
                break  # indented, a second region, or an end without a beginning
            inside, over = not inside, inside
        elif over and line.strip():
            break
        else:
            (hidden if inside else visible).append(line)
    else:
        if not inside:
            return "\n".join(visible).rstrip(), "\n".join(hidden).strip()
    raise wrong("hidden tests stand in one region, not indented, at the end of a test cell: "
                "### BEGIN HIDDEN TESTS ... ### END HIDDEN TESTS")


def stub(source, markdown=False):
    """An answer cell's text with the solution taken out; None where it marks no solution."""
    lines, inside, found = [], False, False
    for line in source.splitlines():
        region = REGION.match(line)
        if region and region[3] == "SOLUTION":
            inside, found = region[2] == "BEGIN", True
            if inside and markdown:
                lines.append("YOUR ANSWER HERE")
            elif inside:
                lines += [region[1] + "# YOUR CODE HERE", region[1] + "raise NotImplementedError()"]
        elif not inside:
            lines.append(line)
    return "\n".join(lines) if found and not inside else None


def with_seed(master, seed):
    """The master with `SEED = ...` in its locked cells set to this student's number."""
    master = copy.deepcopy(master)
    found = 0
    for cell in master.cells.values():
        if cell.metadata.nbgrader.get("locked"):
            cell.source, n = SEED.subn(f"SEED = {seed}", cell.source)
            found += n
    if not found:
        raise InputError(f"{master.name} has no line `SEED = ...` in a locked cell, so it can't "
                         "differ by student; leave out --students or --seeds.")
    return master


def release(master):
    """The student version: stubs for solutions, no hidden tests, no outputs."""
    master = copy.deepcopy(master)
    for label, cell in master.cells.items():
        if cell.metadata.nbgrader.get("solution"):
            source = stub(cell.source, cell.cell_type == "markdown")
            if source is None:
                raise InputError(f"{master.name}: the answer cell {label} needs ### BEGIN SOLUTION "
                                 "and ### END SOLUTION, each on a line of its own.")
            cell.source = source
        elif cell.metadata.nbgrader.get("grade"):
            cell.source = hidden_tests(cell.source)[0]
    for cell in master.notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        left = MARKER.search(cell.source)
        if left:
            raise InputError(f"{master.name}: {left[0]!r} in the cell {cell.get('id')} would be "
                             "released; is it mistyped, or in a cell without metadata?")
    return master.notebook


def label_of(cell, known):
    """Which cell of the master this is, and how that was found; (None, None): the student's own."""
    grader = cell.metadata.get("nbgrader")
    first_line = FIRST_LINE.match(cell.source)
    for label, by in [(grader.get("grade_id") if isinstance(grader, dict) else None, "metadata"),
                      (cell.get("id"), "its cell id"),
                      (first_line and first_line[1], "its first line")]:
        if isinstance(label, str) and label in known:
            return label, by
    return None, None


def parses(source):
    """Whether IPython could run this text, magics included, as far as syntax goes."""
    try:
        ast.parse(TransformerManager().transform_cell(source + "\n"))
        return True
    except (SyntaxError, ValueError, MemoryError, RecursionError, RuntimeError):
        return False


def clean(source):
    """The text without nbval's marker comments: a `# NBVAL_SKIP` would skip the cell."""
    return "".join("#" + line[len(line.splitlines()[0]):] if line.strip().startswith("#")
                   and line.strip().lstrip("#").strip() in comment_markers else line
                   for line in source.splitlines(keepends=True))


@dataclass
class Submission:
    """What counts of a student's notebook."""

    answers: dict  # grade_id to texts; what is missing or can't be used is not in it
    own: dict  # grade_id, or "" for the top, to the texts of the student's cells behind it
    notes: list  # what was odd, in words for the instructor


def read_submission(notebook, master):
    """Find the answers to a master's questions in a student's notebook."""
    pieces, own, notes, last = {}, {}, [], ""
    wanted = {label for q in master.questions for label in q.answers}
    room = 3 * LARGEST_ANSWER  # for cells of the student's own, all of them

    def add_own(where, cell):
        nonlocal room
        room -= len(cell.source) + 1000  # a thousand characters, or one more cell
        if cell.get("cell_type") == "code" and cell.source.strip() and room > 0:
            own.setdefault(where, []).append(clean(cell.source))

    for cell in notebook.cells:
        label, by = label_of(cell, master.cells)
        if label is None:
            add_own(last, cell)
            continue
        before, last = last, label
        kind = master.cells[label].cell_type
        if label not in wanted:
            if cell.source.strip() != visible_text(master.cells[label]).strip():
                notes.append(f"{label} was edited; the master's was run")
                add_own(before, cell)  # an import may have been added, or an answer merged into it
        elif cell.get("cell_type") != kind:
            notes.append(f"{label} is a {cell.get('cell_type')} cell, not {kind}: not taken")
        elif len(cell.source) > LARGEST_ANSWER:
            notes.append(f"{label} has more than {LARGEST_ANSWER:,} characters: not taken")
        else:
            if by != "metadata":
                notes.append(f"{label} had lost its metadata; found by {by}")
            if clean(cell.source) != cell.source:
                notes.append(f"{label} had a marker comment of nbval: taken out")
            pieces.setdefault(label, []).append(clean(cell.source))
    answers = {label: join(label, texts, master, notes) for label, texts in pieces.items()}
    for label in wanted - set(answers):
        if not any(note.startswith(label + " ") for note in notes):
            notes.append(f"{label} is missing")
    if list(pieces) != [label for label in master.cells if label in pieces]:
        notes.append("the answers stand in another order; the master's was taken")
    return Submission(answers, own, notes)


def visible_text(cell):
    """A locked cell's text as the release shows it."""
    return hidden_tests(cell.source)[0] if cell.metadata.nbgrader.get("grade") else cell.source


def join(label, texts, master, notes):
    """The cells of one name as texts to run one after the other, as Jupyter would: of copies the
    later definition counts. A cell that was split becomes one again."""
    if len(texts) == 1:
        return texts
    untouched = stub(master.cells[label].source) or master.cells[label].source
    texts = [t for t in texts if t.strip() != untouched.strip()] or texts[-1:]
    notes.append(f"{label} is there more than once; the later text counts")
    whole = "\n".join(texts)
    return [whole] if not all(map(parses, texts)) and parses(whole) else texts


def assemble(master, submission, own=False, questions=None, others=False, without=()):
    """The notebook to run: the master's cells with the student's answers.

    own        the student's other code cells too, where they stood
    questions  names of the only questions to ask; None: all
    others     the answers to the other questions too, without their tests
    without    texts to leave out

    Each cell carries metadata: its `label` and its `part` (locked, answer, own, test, hidden or
    canary). Hidden tests come last, so that no answer sees them in the history of the kernel
    before the visible ones are through. In front of every test stands a canary: a cell that must
    fail. If it passes, something keeps asserts from failing.
    """
    chosen = [q for q in master.questions if q.test and (not questions or q.name in questions)]
    tests = {q.test for q in chosen}
    answers = {label for q in (master.questions if others else chosen) if q.test
               for label in q.answers}
    cells, hidden = [], []
    # whatever an answer does to SEED, the tests ask about the student's own
    lines = [SEED.search(cell.source) for cell in master.cells.values()
             if cell.metadata.nbgrader.get("locked")]
    seed = "".join(f"{line[0]}\n" for line in lines if line)

    def add(where, source, label, part):
        where.append(nbformat.v4.new_code_cell(source, metadata={"label": label, "part": part}))

    def add_test(where, source, label, part):
        add(where, canary(source), label, "canary")
        add(where, seed + source, label, part)

    def add_own(label):
        for text in submission.own.get(label, []) if own else []:
            if text in without:
                continue
            if cells and label in answers and not (parses(cells[-1].source) and parses(text)):
                cells[-1].source += "\n" + text  # an answer cell that was split
            else:
                add(cells, text, label, "own")

    add_own("")
    for label, cell in master.cells.items():
        if label in tests:
            visible, secret = hidden_tests(cell.source)
            add_test(cells, visible, label, "test")
            if secret:
                add_test(hidden, secret, label, "hidden")
        elif label in answers:
            for text in submission.answers.get(label, []):
                if text not in without:
                    add(cells, text, label, "answer")
        elif cell.cell_type == "code" and not cell.metadata.nbgrader.get(
                "solution") and not cell.metadata.nbgrader.get("grade"):
            add(cells, cell.source, label, "locked")
        add_own(label)
    return nbformat.v4.new_notebook(cells=cells + hidden)


def canary(test):
    """The text of a cell that fails, unless somebody has bent asserts, or what tests rest on.

    It is one line that holds all words of the test, for what drops or changes lines by a word.
    """
    a, b = secrets.randbelow(900) + 100, secrets.randbelow(900) + 1000
    bent = [f"{a} == {b}", f"all([{a} == {b}])", f"any([{a} == {b}])", f"isinstance({a}, str)",
            f"len([{a}]) != 1", f"max([{a}, {b}]) != {b}", f"min([{a}, {b}]) != {a}",
            f"abs(-{a}) != {a}", f"sum([{a}, {b}]) != {a + b}", f"round({a}.2) != {a}",
            f"float({a}) != {a}", f"int({a}.5) != {a}", f"tuple([{a}]) != ({a},)",
            f"sorted([{b}, {a}]) != [{a}, {b}]", f"set([{a}]) == set([{b}])",
            f"torch and torch.equal(torch.tensor([{a}]), torch.tensor([{b}]))",
            f"torch and torch.allclose(torch.tensor({a / b}), torch.tensor({a / b + 1e-3}))"]
    return (f"import sys; torch = sys.modules.get('torch')\n"
            f"assert {' or '.join(bent)}, {secrets.randbelow(10**9)!r} and {test!r}")
