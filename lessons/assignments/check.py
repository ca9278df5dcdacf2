"""Runs the tests of an assignment and counts its points.

    python check.py a1_data_and_one_step.ipynb

This file needs no other one beside it. Python needs

    pip install nbval torch numpy pillow matplotlib

The cells are run and judged by nbval, in a process and an empty folder of their own. grade.py
grades a class with the code of this file.

A notebook's code cells carry nbgrader's metadata (schema 3):

    answer cell   solution                the student writes here; a release shows a stub
    test cell     grade, locked, points   asks about the answer cells in front of it
    locked cell   locked                  imports, numbers to work with
    by hand       solution, grade, points an answer that a person reads, no test

Of a student's notebook nothing is judged but the answer cells: tests and points come from the
master (for `check`: from the student's own copy, which is all there is). A cell is known by its
grade_id; where an editor has lost that, by its cell id; then by its first line.
"""

import argparse
import ast
import contextlib
import json
import logging
import os
import queue
import re
import secrets
import shlex
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

try:
    import nbformat
    import nbval  # noqa: F401  it is pytest's plugin that runs the cells
    import psutil
    import pytest
    from IPython.core.inputtransformer2 import TransformerManager
except ModuleNotFoundError as missing:
    print(f"check.py: Python has no {missing.name} here; pip install nbval torch numpy pillow "
          "matplotlib.", file=sys.stderr)
    sys.exit(2)

LARGEST_NOTEBOOK = 25_000_000  # bytes: pictures in the outputs take room
LARGEST_ANSWER = 100_000  # characters
LARGEST_FILE = 200 * 2**20  # bytes that an answer may write to one file

REGION = re.compile(r"^(\s*)### (BEGIN|END) (SOLUTION|HIDDEN TESTS)\s*$")
FIRST_LINE = re.compile(r"\s*(?:#|<!--)\s*([A-Za-z0-9_-]+)")
HEADING = re.compile(r"##+ (.+?)(?: \(.*\))?$", re.M)
SEED = re.compile(r"^SEED = (\d+)", re.M)
# nbval's comments: `# NBVAL_SKIP` would skip the cell
MARKER = re.compile(r"#[\s#]*(NBVAL|PYTEST_VALIDATE)_\w+\s*$")
# colours of a terminal, and characters that HTML can't have
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

MISSING = "no answer: the cell is missing, or is no code cell"
UNANSWERED = "not answered yet"
HIDDEN = "the tests that you see pass; a hidden test does not"
PACKAGES = "torch, NumPy, Pillow, matplotlib, and what comes with Python"


class InputError(Exception):
    """What a person gave can't be used; the message says why, and what to do."""


def shown(text):
    """A name from outside, fit for one line of a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text))[:200]


# ---- an assignment -------------------------------------------------------------------------------


@dataclass
class Question:
    """What points are given for: one test cell, or one answer read by a person."""

    name: str  # a1-draw
    title: str  # 3. Drawing unpaired images
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
        raise InputError(f"{shown(name)} is larger than {LARGEST_NOTEBOOK / 1e6:.0f} MB; clear its "
                         "outputs and hand it in again.")
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
    cells, questions, answers, asked, title = {}, [], [], False, ""

    def wrong(text):
        return InputError(f"{shown(path)}: {text}.")

    for cell in notebook.cells:
        heading = cell.get("cell_type") == "markdown" and HEADING.search(cell.source)
        title = heading[1] if heading else title
        grader = cell.metadata.get("nbgrader")
        label = grader.get("grade_id") if isinstance(grader, dict) else None
        if not isinstance(grader, dict) or students and isinstance(label, str) and label in cells:
            continue
        if not isinstance(label, str) or label in cells:
            raise wrong(f"the grade_id {label!r} is not a name, or is given twice")
        cells[label] = cell
        points = grader.get("points")
        if grader.get("grade") and not (isinstance(points, (int, float)) and points >= 0):
            raise wrong(f"the cell {label} has no points")
        if grader.get("solution") and grader.get("grade"):
            questions.append(Question(label, title, points, [label], None))
        elif grader.get("solution"):
            answers = [label] if asked else [*answers, label]  # a new question begins here
            asked = False
        elif grader.get("grade"):
            if not answers:
                raise wrong(f"the test cell {label} comes before any answer cell")
            questions.append(Question(label.removesuffix("-tests"), title + asked * ", more tests",
                                      points, answers, label))
            hidden_tests(cell.source, wrong)
            asked = True
    if not questions:
        raise wrong("no cell in it gives points; is it an assignment, and has an editor dropped "
                    "its metadata? Take a fresh copy")
    return Master(path.stem, cells, questions, notebook)


def hidden_tests(source, wrong=InputError):
    """A test cell's text in two: what everybody sees, and its hidden tests, each '' if it does
    nothing."""
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


def does_something(source):
    return any(line.strip() and not line.startswith("#") for line in source.splitlines())


# ---- a student's answers -------------------------------------------------------------------------


@dataclass
class Submission:
    """What counts of a student's notebook."""

    answers: dict  # grade_id to texts; what is missing or can't be used is not in it
    own: dict  # grade_id, or "" for the top, to the texts of the student's cells behind it
    notes: list  # what was odd, in words for the instructor
    seed: int | None  # the number in its line `SEED = ...`


def label_of(cell, known):
    """Which cell of the master this is; None: the student's own."""
    grader = cell.metadata.get("nbgrader")
    first_line = FIRST_LINE.match(cell.source)
    for label in (grader.get("grade_id") if isinstance(grader, dict) else None, cell.get("id"),
                  first_line and first_line[1]):
        if isinstance(label, str) and label in known:
            return label
    return None


def parse(source):
    """The syntax tree of a cell, magics included; None if Python can't read it."""
    with contextlib.suppress(SyntaxError, ValueError, MemoryError, RecursionError, RuntimeError):
        return ast.parse(TransformerManager().transform_cell(source + "\n"))
    return None


# Where code can read the tests that call it, or change what they rest on. No question needs these.
LOOKS_AROUND = {"_getframe", "_current_frames", "currentframe", "f_back", "f_globals", "f_locals",
                "f_code", "tb_frame", "inspect", "linecache", "__main__", "user_ns", "settrace",
                "setprofile", "get_referrers", "get_objects", "history_manager"}
SHARED = {"torch", "nn", "F", "np", "math", "random", "builtins"}


def looks_around(source):
    """The first name in a cell by which it reads the tests that call it, or changes a library
    that they use; '' in an honest one."""
    for node in ast.walk(parse(source) or ast.Module([], [])):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names} | {
                getattr(node, "module", None)}
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(
                node.value, ast.Name) and node.value.id in SHARED:
            return f"{node.value.id}.{node.attr} ="
        else:
            names = {getattr(node, "id", None), getattr(node, "attr", None),
                     node.value if isinstance(node, ast.Constant) and isinstance(
                         node.value, str) else None}
        if names & LOOKS_AROUND:
            return min(names & LOOKS_AROUND)
    return ""


def clean(source):
    """The text without nbval's marker comments."""
    return "\n".join("#" if MARKER.match(line.strip()) else line for line in source.split("\n"))


def read_submission(notebook, master):
    """Find the answers to a master's questions in a student's notebook."""
    pieces, own, notes, seed, last = {}, {}, [], None, ""
    wanted = {label for q in master.questions for label in q.answers}
    room = 3 * LARGEST_ANSWER  # for cells of the student's own, all of them

    def add_own(where, cell):
        nonlocal room
        room -= len(cell.source) + 1000  # a thousand characters, or one more cell
        if cell.get("cell_type") == "code" and cell.source.strip() and room > 0 and (
                not looks_around(cell.source)):
            own.setdefault(where, []).append(clean(cell.source))

    for cell in notebook.cells:
        label = label_of(cell, master.cells)
        if label is None:
            add_own(last, cell)
            continue
        before, last = last, label
        kind = master.cells[label].cell_type
        if label not in wanted:
            # a seed may differ: that of the master, or of the list of seeds, is taken
            its, ours = cell.source.strip(), master.cells[label].source.strip()
            line = SEED.search(its)
            seed = int(line[1][:9]) if line else seed
            if SEED.sub("", its) not in (SEED.sub("", ours), SEED.sub("", visible(ours))):
                notes.append(f"{label} was edited; the master's was run")
                add_own(before, cell)  # an import may have been added, or an answer merged into it
        elif cell.get("cell_type") != kind:
            notes.append(f"{label} is a {cell.get('cell_type')} cell, not {kind}: not taken")
        elif len(cell.source) > LARGEST_ANSWER:
            notes.append(f"{label} has more than {LARGEST_ANSWER:,} characters: not taken")
        elif kind == "code" and (name := looks_around(cell.source)):
            notes.append(f"{label} was not run, read it: `{shown(name)}` can read the tests or "
                         "change them")
        else:
            pieces.setdefault(label, []).append(clean(cell.source))
    answers = {label: join(label, texts, notes) for label, texts in pieces.items()}
    for label in wanted - set(answers):
        if not any(note.startswith(label + " ") for note in notes):
            notes.append(f"{label} is missing")
    return Submission(answers, own, notes, seed)


def visible(source):
    """The text of a cell that the master gives, as the release shows it."""
    return hidden_tests(source)[0].strip()


def join(label, texts, notes):
    """The cells of one name as texts to run one after the other, as Jupyter would: of copies the
    later definition counts. A cell that was split becomes one again."""
    if len(texts) == 1:
        return texts
    texts = [t for t in texts if "# YOUR CODE HERE" not in t] or texts[-1:]
    notes.append(f"{label} is there more than once; the later text counts")
    whole = "\n".join(texts)
    return [whole] if not all(map(parse, texts)) and parse(whole) else texts


def assemble(master, submission, asked, alone=False, without=()):
    """The notebook to run: the master's cells with the student's answers.

    asked    the questions whose tests are run
    alone    no cell but what the master gives and the answers to these questions
    without  texts to leave out

    Each cell carries metadata: its `label` and its `part` (locked, answer, own, test, hidden or
    canary). Hidden tests come last: no answer can change its mind when it has seen them. In front
    of every test stands a canary, a cell that must fail. If it passes, something keeps asserts
    from failing.
    """
    tests = {q.test for q in asked}
    answers = {label for q in (asked if alone else master.questions) if q.test
               for label in q.answers}
    cells, hidden = [], []
    # whatever an answer does to SEED, the tests ask about the student's own
    seed = "".join(f"{line[0]}\n" for cell in master.cells.values() if is_given(cell)
                   and (line := SEED.search(cell.source)))

    def add(where, source, label, part):
        if source not in without:
            where.append(nbformat.v4.new_code_cell(source, metadata={"label": label, "part": part}))

    def add_test(where, source, label, part):
        if does_something(source):
            add(where, canary(source), label, "canary")
            add(where, seed + source, label, part)

    def add_own(label):
        for text in [] if alone else submission.own.get(label, []):
            if cells and label in answers and text not in without and not (
                    parse(cells[-1].source) and parse(text)):
                cells[-1].source += "\n" + text  # an answer cell that was split
            else:
                add(cells, text, label, "own")

    add_own("")
    for label, cell in master.cells.items():
        if label in tests:
            seen, secret = hidden_tests(cell.source)
            add_test(cells, seen, label, "test")
            add_test(hidden, secret, label, "hidden")
        elif label in answers:
            for text in submission.answers.get(label, []):
                add(cells, text, label, "answer")
        elif is_given(cell):
            add(cells, cell.source, label, "locked")
        add_own(label)
    return nbformat.v4.new_notebook(cells=cells + hidden)


def is_given(cell):
    """Whether this is code that the master gives: no answer, no test."""
    nbgrader = cell.metadata.nbgrader
    return cell.cell_type == "code" and not nbgrader.get("solution") and not nbgrader.get("grade")


def canary(test):
    """The text of a cell that fails, unless somebody has bent asserts. It is one line that holds
    all words of the test, for what drops or changes lines by a word."""
    return (f"assert {secrets.randbelow(900)} == {secrets.randbelow(900) + 1000}, "
            f"{secrets.randbelow(10**9)!r} and {test!r}")


# ---- running: python check.py --run, in a process of its own -------------------------------------


class Recorder:
    """A pytest plugin: tells the grader what nbval finds, cell by cell."""

    def __init__(self, say, seconds):
        self.say, self.seconds = say, seconds
        self.stopped = set()  # notebooks in which a cell hung

    def pytest_collection_finish(self, session):
        for file in {item.path for item in session.items}:
            file.unlink()  # it has been read; the tests in it are not for the kernel

    def pytest_runtest_setup(self, item):
        if item.path in self.stopped:
            pytest.skip()  # nothing after that says anything about the student's work

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """nbval sees an error where IPython shows one, which it does not for a BdbQuit, a
        UsageError, an ExceptionGroup: so the kernel's reply has to say "ok" too. And nbval waits
        for the end of the output, which may never come."""
        self.say(start=item.path.stem, **item.cell.metadata)
        kernel, replies, item.hung = item.parent.kernel, [], ""
        get_shell_msg, execute = kernel.kc.get_shell_msg, kernel.kc.execute

        def noted(*args, timeout=None, **named):
            end = time.monotonic() + (timeout or 0)
            while True:  # second by second: nbval alone would wait on for a kernel that is gone
                try:
                    left = None if timeout is None else min(1, max(0, end - time.monotonic()))
                    message = get_shell_msg(*args, timeout=left, **named)
                    replies.append(message["content"])
                    return message
                except queue.Empty:
                    item.hung = "" if kernel.is_alive() else "end"
                    if item.hung or time.monotonic() >= end:
                        raise

        def stop():
            item.hung = "time"
            kill(psutil.Process().children(recursive=True))

        kernel.kc.get_shell_msg = noted
        # a test does not go into the history, `In`, where an answer could read it
        kernel.kc.execute = lambda *args, **named: execute(
            *args, **named | {"store_history": False})
        watch = threading.Timer(self.seconds + 10, stop)  # with what nbval itself waits for
        watch.start()
        try:
            yield
        finally:
            watch.cancel()
            kernel.kc.get_shell_msg, kernel.kc.execute = get_shell_msg, execute
        if replies and replies[-1].get("status") != "ok":
            raise RuntimeError(f"{replies[-1].get('ename')}: {replies[-1].get('evalue')}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.when == "setup" and report.failed:
            self.say(broken=str(call.excinfo.value))  # no kernel: not the student's doing
        if report.when != "call":
            return report
        error, line = "", ""
        if call.excinfo:
            # the kernel's own words, where it sent some: nbval's wrap the whole cell around them
            found = [o for o in item.test_outputs or [] if o.output_type == "error"]
            error = f"{found[0].ename}: {found[0].evalue}" if found else str(call.excinfo.value)
            line = failing_line(found[0].traceback) if found else ""
        hung = item.hung or ("time" if item.parent.timed_out else
                             "" if item.parent.kernel.is_alive() else "end")
        if hung:
            self.stopped.add(item.path)
        # An XPASS is no pass: nbval expects what follows a time-out to fail.
        self.say(file=item.path.stem, **item.cell.metadata, hung=hung, error=error[:5000],
                 line=line[:300], passed=report.passed and not hasattr(report, "wasxfail"))
        return report


def failing_line(traceback):
    """The last line of the notebook itself in what IPython says of an error."""
    found, ours = "", False
    for line in ESCAPES.sub("", "\n".join(traceback)).splitlines():
        if line.startswith(("Cell In", "Input In", "File ")):
            ours = not line.startswith("File ")
        arrow = re.match(r"-+> *\d+ +(.*)", line)
        found = arrow[1].strip() if arrow and ours else found
    return found


def limit(memory):
    """Bound the memory (bytes) and the files of this process and all that it starts."""
    try:
        import resource
    except ImportError:  # Windows has nothing of the kind
        return
    # RLIMIT_DATA counts what is written to; the address space would count torch's libraries too
    for what, most in [(resource.RLIMIT_DATA, memory), (resource.RLIMIT_FSIZE, LARGEST_FILE),
                       (resource.RLIMIT_CORE, 0)]:
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def run_notebooks():
    """Run notebooks by nbval, a kernel for each. In, on stdin: a JSON object, {"notebooks",
    "cell_timeout", "memory"}. Out, on stdout: a JSON line when a cell starts and when it ends.

    The kernels, and so the student's code, inherit neither stdin nor stdout: they can't write
    results. A container can do this in the grader's place.
    """
    request = json.load(sys.stdin)
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")  # a duplicate is not inherited
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    limit(request["memory"])

    def say(**event):
        print(json.dumps(event), file=channel, flush=True)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the grader to deal with
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        paths = [Path(scratch, f"{n}.ipynb") for n in range(len(request["notebooks"]))]
        for path, notebook in zip(paths, request["notebooks"], strict=True):
            path.write_text(json.dumps(notebook), encoding="utf-8")
        os.chdir(scratch)
        fonts = Path(scratch, "matplotlib")
        fonts.mkdir()  # matplotlib lists the machine's fonts once, which can take half a minute
        for known in Path.home().glob(".*/matplotlib/fontlist*.json"):
            shutil.copy(known, fonts)
        os.environ |= {"HOME": scratch, "TMPDIR": scratch, "IPYTHONDIR": scratch,
                       "JUPYTER_CONFIG_DIR": scratch, "JUPYTER_RUNTIME_DIR": scratch,
                       "MPLCONFIGDIR": str(fonts), "CUDA_VISIBLE_DEVICES": "",
                       "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0",
                       # no plugin that happens to be installed: one shuffles, another retries
                       "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        pytest.main([*map(str, paths), "-p", "nbval.plugin", "--nbval-lax", "--nbval-current-env",
                     f"--nbval-cell-timeout={request['cell_timeout']:g}",
                     f"--rootdir={scratch}", "-c", os.devnull, "--noconftest",
                     "-p", "no:cacheprovider"],
                    plugins=[Recorder(say, request["cell_timeout"])])


def kill(processes):
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


class Stopped(Exception):
    """The grader was interrupted while this submission ran."""


class Runners:
    """The processes that run notebooks."""

    def __init__(self):
        self.lock, self.scratch, self.stopped = threading.Lock(), set(), False

    def run(self, command, request, seconds):
        """Start `command`, give it the request on stdin. (stdout, stderr, "": it came to its end,
        "time": it was killed after `seconds`, "end": something else ended it.)"""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            with self.lock:
                if self.stopped:
                    raise Stopped
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    env=environment() | {"TMPDIR": scratch}, start_new_session=True, text=True,
                    encoding="utf-8", errors="replace")
                self.scratch.add(scratch)
            try:
                out, err = process.communicate(request, timeout=seconds)
                ended = "end" if process.returncode else ""
            except subprocess.TimeoutExpired:
                kill_all(scratch)
                (out, err), ended = process.communicate(), "time"
            finally:
                kill_all(scratch)
                process.wait()
                with self.lock:
                    self.scratch.remove(scratch)
        if self.stopped:
            raise Stopped
        return out, err, ended

    def stop(self):
        """Kill all, and start no more."""
        with self.lock:
            self.stopped = True
            for scratch in self.scratch:
                kill_all(scratch)


def kill_all(scratch):
    """Kill all processes that were started with this folder for their temporary files, also those
    whose parent is gone; twice, for what was just about to start another."""
    for _ in range(2):
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get("TMPDIR", "").startswith(scratch):
                    process.kill()


def environment():
    """What a submission sees of the environment: where Python is, nothing of whose it is."""
    keep = ["PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
            "SYSTEMROOT", "TEMP", "DOCKER_HOST"]  # the latter for docker itself
    return {name: os.environ[name] for name in keep if name in os.environ} | {
        "PYTHONUSERBASE": site.getuserbase()}


# ---- marking -------------------------------------------------------------------------------------


@dataclass
class Limits:
    """What one submission may use."""

    cell: float = 20  # seconds for one cell
    total: float = 300  # seconds for one submission
    memory: float = 4  # GiB for a process
    runner: list = field(default_factory=lambda: [sys.executable, __file__, "--run"])


class Grader:
    """Runs submissions to one master within limits, and says what each question is worth."""

    def __init__(self, master, limits):
        self.master, self.limits = master, limits
        self.runners = Runners()

    def grade(self, submission, master=None):
        """A dict of plain values: points, out_of, by_hand, questions, flags, seconds.

        master   the student's own variant of it (another SEED), else the grader's
        by_hand  the points that a person still has to give
        Raises Stopped after stop(), RuntimeError if notebooks can't be run here at all.
        """
        start = time.monotonic()
        work = Work(self, master or self.master, submission, start + self.limits.total)
        work.all_at_once()
        work.one_by_one()
        questions, bent = [], "tampered with: asserts no longer fail"
        for q in work.master.questions:
            answer = "\n\n".join(text for label in q.answers
                                 for text in submission.answers.get(label, []))
            points, message, line, hidden = None, "", "", ""
            if q.test:
                points = q.points if q.name in work.passed and not work.bent else 0
                if not points:
                    message, line, hidden = (bent, "", "") if work.bent else work.found.get(
                        q.name, ("", "", ""))
            elif not answer.split("-->", 1)[-1].replace("YOUR ANSWER HERE", "").strip():
                points, message = 0, "no answer"
            questions.append({"name": q.name, "title": q.title, "points": points,
                              "out_of": q.points, "by_hand": points is None, "message": message,
                              "line": line, "hidden": hidden, "answer": answer})
        flags = submission.notes + [f"{name}: {text}" for name, text in work.hung.items()
                                    if name not in work.passed] + work.bent * [bent]
        return {"points": sum(q["points"] or 0 for q in questions), "out_of": work.master.points,
                "by_hand": sum(q["out_of"] for q in questions if q["points"] is None),
                "questions": questions, "flags": flags,
                "seconds": round(time.monotonic() - start, 1)}


class Work:
    """One submission: which questions have passed, and why others have not."""

    def __init__(self, grader, master, submission, deadline):
        self.grader, self.master, self.submission = grader, master, submission
        self.deadline = deadline
        self.passed, self.bent = set(), False
        self.found = {}  # question name to (message, line, message of a hidden test)
        self.hung = {}  # question name to what became of it
        self.asked = []
        for q in master.questions:
            if q.test and all(a in submission.answers for a in q.answers):
                self.asked.append(q)
            elif q.test:
                unread = [n for n in submission.notes if "not run, read it" in n
                          and n.split(" ", 1)[0] in q.answers]
                self.found[q.name] = (unread or [MISSING])[0], "", ""

    def all_at_once(self):
        """Run all questions in one kernel, with the student's own cells in place: an answer may
        rest on them. A cell that hangs is left out, and the rest is run again."""
        without = []
        while self.asked:
            notebook = assemble(self.master, self.submission, self.asked, without=without)
            (cells,), out_of_time = self.execute([notebook])
            self.judge(self.asked, cells)
            stop = cells[-1] if cells and cells[-1]["hung"] else None
            if out_of_time or not stop:
                return
            if stop["part"] in ("own", "answer"):
                without.append(notebook.cells[len(cells) - 1].source)
            blamed = [q for q in self.asked if stop["label"] in (q.test, *q.answers)]
            if stop["part"] == "own":
                continue
            for q in blamed:
                self.report_hung(q, stop)
            if stop["hung"] == "end" or not blamed:
                return  # perhaps another answer's doing: each will be asked alone
            self.asked = [q for q in self.asked if q not in blamed]

    def one_by_one(self):
        """Ask each question that has not passed once more, in a kernel of its own: another answer
        or a cell of the student's own may have been in its way."""
        again = [q for q in self.asked if q.name not in self.passed
                 and self.found.get(q.name, ("",))[0] != UNANSWERED]
        if not again or len(self.asked) == 1 and not self.submission.own:
            return
        while again:
            notebooks = [assemble(self.master, self.submission, [q], alone=True) for q in again]
            results, out_of_time = self.execute(notebooks)
            for q, cells in zip(again, results, strict=True):
                self.judge([q], cells)
                if cells and cells[-1]["hung"]:
                    self.report_hung(q, cells[-1])
            # where one has killed even the runner, the others are still to be asked
            again = [q for q, cells in zip(again, results, strict=True)
                     if not cells and not out_of_time]

    def report_hung(self, q, cell):
        text = (f"it ran longer than {self.grader.limits.cell:g} seconds: a loop without an end?"
                if cell["hung"] == "time" else "it ended the kernel (exit, quit, or a crash)")
        self.hung[q.name] = text
        self.found[q.name] = text, cell["line"] if cell["part"] != "hidden" else "", ""

    def execute(self, notebooks):
        """What the runner says of each notebook's cells, and whether time has run out."""
        limits = self.grader.limits
        cells = [[] for _ in notebooks]
        for _ in range(3):
            # A kernel needs time to come up, also when little is left.
            left = max(self.deadline - time.monotonic(), 10)
            request = json.dumps({"notebooks": notebooks, "cell_timeout": limits.cell,
                                  "memory": int(limits.memory * 2**30)})
            out, err, ended = self.grader.runners.run(limits.runner, request, left)
            events = [json.loads(line) for line in out.splitlines(True) if line.endswith("}\n")]
            open_cell = None
            for event in events:
                if "start" in event:
                    open_cell = event
                elif "file" in event:
                    cells[int(event["file"])].append(event)
                    open_cell = None
            if open_cell:  # the runner was killed in the middle of it
                cells[int(open_cell["start"])].append(open_cell | {
                    "hung": ended or "end", "error": "", "line": "", "passed": False})
            self.bent |= any(c["part"] == "canary" and c["passed"] for some in cells for c in some)
            if any("start" in event for event in events):
                return cells, ended == "time" or time.monotonic() > self.deadline
            # No kernel came up, which now and then happens where many start at once: two take the
            # same port. That is not the student's doing.
        why = [e["broken"] for e in events if "broken" in e] or [err.strip()[-500:]]
        raise RuntimeError(f"no notebook could be run: {why[0]}")

    def judge(self, asked, cells):
        """Note which questions these cells pass, and what keeps the others from passing."""
        for q in asked:
            of_part = {c["part"]: c for c in cells if c["label"] in (q.test, *q.answers)}
            texts = hidden_tests(self.master.cells[q.test].source)
            parts = [p for p, text in zip(("test", "hidden"), texts, strict=True)
                     if does_something(text)]
            failed = [p for p in parts if p not in of_part or not of_part[p]["passed"]]
            if not failed:
                self.passed.add(q.name)
            elif q.name not in self.found:
                why = self.reason(q, cells, of_part, failed[0])
                if why:
                    self.found[q.name] = tuple(ESCAPES.sub("", text)[:2000] for text in why)

    def reason(self, q, cells, of_part, part):
        """(message, line, message of a hidden test); None where the cells do not tell."""
        for c in cells:
            if c["part"] == "answer" and c["label"] in q.answers and not c["passed"]:
                if c["hung"]:
                    return None
                extra = (f" (there is {PACKAGES})"
                         if c["error"].startswith("ModuleNotFoundError") else "")
                return f"your cell ends in an error: {c['error']}{extra}", c["line"], ""
        if part not in of_part or of_part[part]["hung"]:
            return ((f"not run: the {self.grader.limits.total:g} seconds for one submission were "
                     "used up", "", "") if time.monotonic() > self.deadline else None)
        error, line = of_part[part]["error"], of_part[part]["line"]
        if error.startswith("NotImplementedError"):
            return UNANSWERED, "", ""
        error = error.removeprefix("AssertionError: ") or "a test does not pass"
        own = "\n".join(t for label in q.answers for t in self.submission.answers[label])
        its_own = line in {text.strip() for text in own.splitlines()}
        where = f"{'in your answer' if its_own else 'in the tests'}: {line}" if line else ""
        if part == "hidden":
            return HIDDEN, where if its_own else "", error
        return error, where, ""


# ---- the command ---------------------------------------------------------------------------------


def number(value):
    """Points as people write them: 2, not 2.0."""
    return "" if value is None else f"{value:g}"


def check(args):
    """Count the points of students' own notebooks. 0 if all are there, else 1."""
    code = 0
    for path in args.notebook:
        master = read_master(path, students=True)
        if any(q.test and hidden_tests(master.cells[q.test].source)[1] for q in master.questions):
            raise InputError(f"{shown(path)} holds hidden tests: it is the master; give your own "
                             "notebook.")
        unseen = [q for q in master.questions  # all of its tests are hidden
                  if q.test and not does_something(master.cells[q.test].source)]
        master.questions = [q for q in master.questions if q not in unseen]
        submission = read_submission(master.notebook, master)
        result = Grader(master, limits_of(args)).grade(submission)
        print(path)
        for q in result["questions"]:
            points = ("by hand" if q["points"] is None else
                      f"{number(q['points'])}/{number(q['out_of'])}")
            print(f"  {q['name']:26} {points:>8}  {q['message']}".rstrip())
            if q["line"]:
                print(f"{'':38}{q['line']}")
        for flag in result["flags"]:
            if "was edited" not in flag:  # it is compared with itself
                print(f"  note: {flag}")
        out_of = result["out_of"] - result["by_hand"]
        more = [f"{number(result['by_hand'])} are given by hand"] * bool(result["by_hand"]) + [
            f"{number(sum(q.points for q in unseen))} are for tests that are all hidden"] * bool(
                unseen)
        print(f"  {number(result['points'])} of {number(out_of)} points so far"
              + (f"; {' and '.join(more)} later" if more else "")
              + ". Hidden tests may take some away.")
        code |= result["points"] < out_of
    return code


def at_least(kind, least):
    def convert(text):
        value = kind(text)
        if not least <= value < 1e6:
            raise argparse.ArgumentTypeError(f"give a number of at least {least}, not {text}")
        return value
    convert.__name__ = "number"
    return convert


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage lines."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def add_limits(command):
    command.add_argument("--cell-timeout", type=at_least(float, 1), default=Limits.cell,
                         metavar="SECONDS", help="for one cell (%(default)g)")
    command.add_argument("--time", type=at_least(float, 10), default=Limits.total,
                         metavar="SECONDS", help="for one submission (%(default)g)")
    command.add_argument("--memory", type=at_least(float, 0.5), default=Limits.memory,
                         metavar="GIB", help="for one process, on Linux (%(default)g)")
    command.add_argument("--runner", metavar="COMMAND",
                         help="runs notebooks in place of `check.py --run`, such as a container")


def limits_of(args):
    return Limits(args.cell_timeout, args.time, args.memory,
                  shlex.split(args.runner) if args.runner else Limits().runner)


def guarded(prog, run, args):
    """run(args) with one sentence for what goes wrong; the exit code."""
    warnings.filterwarnings("ignore", module="nbformat")  # old notebooks lack ids: not their fault
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    stopped_by = []

    def stop(number, frame):
        stopped_by.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        return run(args) or 0
    except (InputError, RuntimeError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{prog}: {shown(error.filename or 'a file')} could not be read or written "
              f"({error.strerror or error}).", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; what is graded is kept, run it again to go on.",
              file=sys.stderr)
        return 128 + (stopped_by or [signal.SIGINT])[0]


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--run"]:
        return run_notebooks()
    top = Parser(prog="check.py", description="Run the tests that you can see and count your "
                 "points.")
    top.add_argument("notebook", type=Path, nargs="+", help="your notebook, saved")
    add_limits(top)
    return guarded("check.py", check, top.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
