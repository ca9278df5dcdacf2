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
import concurrent.futures
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

# The largest part of `import nbformat`, where Jupyter brings it: a grammar of web addresses.
sys.modules.setdefault("rfc3987_syntax", None)
try:
    import nbformat
    import nbval  # noqa: F401  it is pytest's plugin that runs the cells
    import psutil
    import pytest
except ModuleNotFoundError as missing:
    print(f"check.py: Python has no {missing.name} here; pip install nbval torch numpy pillow "
          "matplotlib.", file=sys.stderr)
    sys.exit(2)

LARGEST_NOTEBOOK = 25_000_000  # bytes: pictures in the outputs take room
LARGEST_ANSWER = 100_000  # characters
LARGEST_FILE = 200 * 2**20  # bytes that an answer may write to one file

HIDDEN_TESTS = re.compile(r"^### BEGIN HIDDEN TESTS\n(.*)^### END HIDDEN TESTS\s*\Z", re.M | re.S)
FIRST_LINE = re.compile(r"\s*(?:#|<!--)\s*([A-Za-z0-9_-]+)")
HEADING = re.compile(r"##+ (.+?)(?: \(.*\))?$", re.M)
SEED = re.compile(r"^SEED = (\d+)", re.M)
# By these, code reads the tests that call it, or changes what they rest on. No question needs them.
LOOKS_AROUND = re.compile(
    r"\b(?:_getframe|_current_frames|currentframe|f_back|f_globals|f_locals|f_code|tb_frame|"
    r"user_ns|settrace|setprofile|linecache|__main__|get_referrers|get_objects|history_manager)\b|"
    r"^\s*(?:import|from)\s+inspect\b|"
    r"^\s*(?:torch|nn|F|np|math|random|builtins)\.\w+\s*=(?!=)", re.M)
# colours of a terminal, and characters that HTML can't have
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

UNANSWERED = "not answered yet"
HIDDEN = "the tests that you see pass; a hidden test does not"
BENT = "tampered with: asserts no longer fail"
PACKAGES = "torch, NumPy, Pillow, matplotlib, and what comes with Python"


class InputError(Exception):
    """What a person gave can't be used; the message says why, and what to do."""


class Stopped(Exception):
    """The grader was interrupted while this submission ran."""


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

    @property
    def given(self):
        """The code that the master gives, by grade_id: no answer, no test."""
        return {label: cell for label, cell in self.cells.items() if cell.cell_type == "code"
                and not cell.metadata.nbgrader.get("solution")
                and not cell.metadata.nbgrader.get("grade")}

    @property
    def seed(self):
        """Its line `SEED = ...`; None if it has none."""
        found = [line for cell in self.given.values() if (line := SEED.search(cell.source))]
        return found[0] if found else None


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
            if "HIDDEN TESTS" in "".join(hidden_tests(cell.source)):
                raise wrong(f"{label}: hidden tests stand in one region, not indented, at the end "
                            "of a test cell: ### BEGIN HIDDEN TESTS ... ### END HIDDEN TESTS")
            questions.append(Question(label.removesuffix("-tests"), title + asked * ", more tests",
                                      points, answers, label))
            asked = True
    if not questions:
        raise wrong("no cell in it gives points; is it an assignment, and has an editor dropped "
                    "its metadata? Take a fresh copy")
    return Master(path.stem, cells, questions, notebook)


def hidden_tests(source):
    """A test cell's text in two: what everybody sees, and its hidden tests, if there are any."""
    seen, hidden = [*HIDDEN_TESTS.split(source), ""][:2]
    return seen.rstrip(), hidden.strip()


def does_something(source):
    return any(line.strip() and not line.startswith("#") for line in source.splitlines())


# ---- a student's answers -------------------------------------------------------------------------


@dataclass
class Submission:
    """What counts of a student's notebook."""

    answers: dict  # grade_id to texts; what is missing or can't be used is not in it
    own: dict  # grade_id, or "" for the top, to the texts of the student's cells behind it
    notes: list  # what was odd, in words for the instructor


def label_of(cell, known):
    """Which cell of the master this is; "": the student's own."""
    grader = cell.metadata.get("nbgrader")
    first_line = FIRST_LINE.match(cell.source)
    for label in (grader.get("grade_id") if isinstance(grader, dict) else None, cell.get("id"),
                  first_line and first_line[1]):
        if isinstance(label, str) and label in known:
            return label
    return ""


def parses(source):
    """Whether Python can read the text of a cell; lines of magic aside."""
    with contextlib.suppress(SyntaxError, ValueError, MemoryError, RecursionError):
        ast.parse(re.sub(r"^(\s*)[%!].*", r"\1pass", source, flags=re.M))
        return True
    return False


def read_submission(notebook, master):
    """Find the answers to a master's questions in a student's notebook."""
    answers, own, notes, last = {}, {}, [], ""
    wanted = {label for q in master.questions for label in q.answers}
    for cell in notebook.cells:
        label, kind = label_of(cell, master.cells), cell.get("cell_type")
        looks = LOOKS_AROUND.search(cell.source) if kind == "code" else None
        behind, last = last, label or last
        if label in wanted:
            if kind != (expected := master.cells[label].cell_type):
                notes.append(f"{label} is a {kind} cell, not {expected}: not taken")
            elif len(cell.source) > LARGEST_ANSWER:
                notes.append(f"{label} has more than {LARGEST_ANSWER:,} characters: not taken")
            elif looks:
                notes.append(f"{label} was not run, read it: `{shown(looks[0].strip())}` can read "
                             "the tests or change them")
            else:
                answers.setdefault(label, []).append(cell.source)
            continue
        if label:
            # a seed may differ: that of the master, or of the list of seeds, is taken
            ours = master.cells[label].source
            if SEED.sub("", cell.source.strip()) in {
                    SEED.sub("", text.strip()) for text in (ours, hidden_tests(ours)[0])}:
                continue
            # it is run as well, in front: an import may have been added, or an answer
            notes.append(f"{label} was edited; the master's was run")
        if kind != "code" or not cell.source.strip() or looks or len(cell.source) > LARGEST_ANSWER:
            continue
        before = answers.get(behind)
        if before and behind not in own and not parses(before[-1]) and not parses(cell.source):
            before[-1] += "\n" + cell.source  # an answer cell that was split
        else:
            own.setdefault(behind, []).append(cell.source)
    for label, texts in answers.items():
        if len(texts) > 1:  # all are run, as Jupyter would: the later definition counts
            notes.append(f"{label} is there more than once; the later text counts")
            texts = [t for t in texts if "# YOUR CODE HERE" not in t] or texts[-1:]
            whole = "\n".join(texts)
            split = not all(map(parses, texts)) and parses(whole)
            answers[label] = [whole] if split else texts
    notes += [f"{label} is missing" for label in wanted - set(answers)
              if not any(note.startswith(label + " ") for note in notes)]
    return Submission(answers, own, notes)


# In front of each question that is asked alone: no names, and torch as it was.
RESET = """get_ipython().reset()
import sys
if "torch" in sys.modules:
    sys.modules["torch"].set_grad_enabled(True)
    sys.modules["torch"].set_default_dtype(sys.modules["torch"].float32)
del sys"""


def assemble(master, submission, asked, alone=False):
    """The cells to run: the master's, with the student's answers.

    asked   the questions whose tests are run
    alone   one question after the other, for each the cells that the master gives and its answers;
            else all the student's cells, in the master's order

    Each cell carries metadata: its `label`, its `part` (given, answer, own, test, hidden or
    canary), and what it `needs`, the answers that it is about. Hidden tests come last: no answer
    can change its mind when it has seen them. In front of every test stands a canary, a cell that
    must fail. If it passes, something keeps asserts from failing.
    """
    cells, order = [], list(master.cells)
    tests = {q.test: q for q in asked}

    def add(source, label, part, needs=()):
        cells.append(nbformat.v4.new_code_cell(
            source, metadata={"label": label, "part": part, "needs": list(needs)}))

    def add_answer(label):
        for text in submission.answers.get(label, []):
            add(text, label, "answer", [label])

    def add_test(q, part):
        source = hidden_tests(master.cells[q.test].source)[part == "hidden"]
        if does_something(source):
            # One line that holds all words of the test, for what drops or changes lines by a word.
            add(f"assert {secrets.randbelow(900)} == {secrets.randbelow(900) + 1000}, "
                f"{secrets.randbelow(10**9)!r} and {source!r}", q.test, "canary", q.answers)
            # whatever an answer does to SEED, the tests ask about the student's own
            seed = f"{master.seed[0]}\n" if master.seed else ""
            add(seed + source, q.test, part, q.answers)

    if alone:
        for q in asked:
            add(RESET, "", "given", q.answers)
            for label in order[:order.index(q.test)]:
                if label in master.given:
                    add(master.cells[label].source, label, "given", q.answers)
                elif label in q.answers:
                    add_answer(label)
            add_test(q, "test")
            add_test(q, "hidden")
        return cells
    known = {label for q in master.questions if q.test for label in q.answers}
    last = max((order.index(test) for test in tests), default=0)  # nothing behind it is needed
    for label in ["", *order]:
        if label in tests:
            add_test(tests[label], "test")
        elif label in known:
            add_answer(label)
        elif label in master.given and order.index(label) < last:
            add(master.cells[label].source, label, "given")
        for text in submission.own.get(label, []):
            add(text, label, "own")
    for q in asked:
        add_test(q, "hidden")
    return cells


# ---- running: python check.py --run, in a process of its own -------------------------------------


class Recorder:
    """A pytest plugin: tells the grader what nbval finds, cell by cell."""

    def __init__(self, say, seconds):
        self.say, self.seconds = say, seconds
        self.hung, self.gone = set(), False  # answers that ran too long; whether the kernel is gone

    def pytest_collection_finish(self, session):
        for item in session.items:
            # what a comment such as `# NBVAL_SKIP` asks for
            item.options.update(skip=False, check=False, check_exception=False)
            item.path.unlink(missing_ok=True)  # it has been read; its tests are not for the kernel

    def pytest_runtest_setup(self, item):
        if self.gone or self.hung & set(item.cell.metadata.needs):
            pytest.skip()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """nbval sees an error where IPython shows one, which it does not for a BdbQuit, a
        UsageError, an ExceptionGroup: so the kernel's reply has to say "ok" too. And nbval waits
        for a kernel that is gone, and for the end of the output, which may never come."""
        self.say(start=True, **item.cell.metadata)
        kernel, reply, item.hung = item.parent.kernel, {}, ""

        def await_reply(msg_id, timeout):
            end = time.monotonic() + timeout
            while time.monotonic() < end and kernel.is_alive():
                with contextlib.suppress(queue.Empty):
                    message = kernel.get_message("shell", timeout=1)
                    if message["parent_header"].get("msg_id") == msg_id:
                        return reply.update(message["content"])
            item.hung = "time" if kernel.is_alive() else "end"
            raise queue.Empty

        def stop():
            item.hung = "time"
            kill(psutil.Process().children(recursive=True))

        kernel.await_reply = await_reply
        watch = threading.Timer(self.seconds + 4, stop)
        watch.start()
        try:
            yield
        finally:
            watch.cancel()
        if reply.get("status") != "ok":
            raise RuntimeError(f"{reply.get('ename')}: {reply.get('evalue')}")

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
        self.gone = not item.parent.kernel.is_alive()
        hung = item.hung or self.gone * "end"
        if hung == "time":
            self.hung |= set(item.cell.metadata.needs)
            item.parent.timed_out = False  # or nbval would expect all that follows to fail
        self.say(**item.cell.metadata, hung=hung, gone=self.gone, error=error[:5000],
                 line=line[:300], passed=report.passed)
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


def run_cells():
    """Run cells by nbval, in one kernel. In, on stdin: a JSON object, {"cells", "cell_timeout",
    "memory"}. Out, on stdout: a JSON line when a cell starts and when it ends.

    The kernel, and so the student's code, inherits neither stdin nor stdout: it can't write
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
        path = Path(scratch, "submission.ipynb")
        path.write_text(json.dumps(nbformat.v4.new_notebook(cells=request["cells"])), "utf-8")
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
        pytest.main([str(path), "-p", "nbval.plugin", "--nbval-lax", "--nbval-current-env",
                     f"--nbval-cell-timeout={request['cell_timeout']:g}",
                     f"--rootdir={scratch}", "-c", os.devnull, "--noconftest",
                     "-p", "no:cacheprovider"],
                    plugins=[Recorder(say, request["cell_timeout"])])


def kill(processes):
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def kill_all(scratch):
    """Kill all processes that were started with this folder for their temporary files, also those
    whose parent is gone; twice, for what was just about to start another."""
    for _ in range(2):
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get("TMPDIR", "").startswith(scratch):
                    process.kill()


@dataclass
class Limits:
    """What one submission may use."""

    cell: float = 20  # seconds for one cell
    total: float = 300  # seconds for one submission
    memory: float = 4  # GiB for a process
    runner: list = field(default_factory=lambda: [sys.executable, __file__, "--run"])
    stop: threading.Event = field(default_factory=threading.Event)  # set: stop all that runs


def runner(limits, request, seconds):
    """Start the runner, give it the request on stdin. (stdout, stderr, "": it came to its end,
    "time": it was killed after `seconds`, "end": something else ended it.)"""
    # where Python is, nothing of whose it is; DOCKER_HOST is for docker itself
    keep = ["PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT",
            "TEMP", "DOCKER_HOST"]
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    end, ended = time.monotonic() + seconds, ""
    with (tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
          concurrent.futures.ThreadPoolExecutor(1) as pool):
        process = subprocess.Popen(
            limits.runner, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment | {"TMPDIR": scratch, "PYTHONUSERBASE": site.getuserbase()},
            start_new_session=True, text=True, encoding="utf-8", errors="replace")
        talk = pool.submit(process.communicate, request)
        try:
            while True:
                with contextlib.suppress(concurrent.futures.TimeoutError):
                    out, err = talk.result(0.5)
                    return out, err, ended or ("end" if process.returncode else "")
                if limits.stop.is_set():
                    raise Stopped
                if time.monotonic() > end:
                    ended = "time"
                    kill_all(scratch)
        finally:
            kill_all(scratch)


# ---- marking -------------------------------------------------------------------------------------


def grade(master, submission, limits):
    """A dict of plain values: points, out_of, by_hand, questions, flags, seconds.

    by_hand   the points that a person still has to give
    Raises Stopped once limits.stop is set, RuntimeError if notebooks can't be run here at all.
    """
    start = time.monotonic()
    run = Run(master, submission, limits)
    questions = []
    for q in master.questions:
        answer = "\n\n".join(text for label in q.answers
                             for text in submission.answers.get(label, []))
        points, message, line, hidden = None, "", "", ""
        if q.test and q.name in run.passed and not run.bent:
            points = q.points
        elif q.test:
            points = 0
            message, line, hidden = (BENT, "", "") if run.bent else run.found.get(
                q.name, ("", "", ""))
        elif not answer.split("-->", 1)[-1].replace("YOUR ANSWER HERE", "").strip():
            points, message = 0, "no answer"
        questions.append({"name": q.name, "title": q.title, "points": points, "out_of": q.points,
                          "by_hand": points is None, "message": message, "line": line,
                          "hidden": hidden, "answer": answer})
    return {"points": sum(q["points"] or 0 for q in questions), "out_of": master.points,
            "by_hand": sum(q["out_of"] for q in questions if q["points"] is None),
            "questions": questions, "flags": submission.notes + run.bent * [BENT],
            "seconds": round(time.monotonic() - start, 1)}


class Run:
    """One submission: which questions have passed, and why others have not."""

    def __init__(self, master, submission, limits):
        self.master, self.submission, self.limits = master, submission, limits
        self.deadline = time.monotonic() + limits.total
        self.passed, self.bent = set(), False
        self.found = {}  # question name to (message, line, message of a hidden test)
        self.hung = set()  # names of questions that ran too long, or ended the kernel
        asked = []
        for q in master.questions:
            if q.test and all(a in submission.answers for a in q.answers):
                asked.append(q)
            elif q.test:
                why = [n for n in submission.notes if n.split(" ", 1)[0] in q.answers]
                self.found[q.name] = f"no answer: {why[0]}", "", ""
        self.execute(asked)
        # Another answer, or a cell of the student's own, may have been in the way of the others.
        again = [q for q in asked if q.name not in self.passed | self.hung
                 and self.found.get(q.name, ("",))[0] != UNANSWERED]
        while again and time.monotonic() < self.deadline:
            stop = self.execute(again, alone=True)
            if not stop:
                break
            at = [stop["needs"] == q.answers for q in again].index(True)
            if at == 0:  # nobody else ran in this kernel
                self.blame(again[0], stop)
            again = [q for q in again[at:] if q.name not in self.hung]

    def execute(self, asked, alone=False):
        """Run these questions, and judge them. What is known of the cell in which the kernel came
        to its end, if it did."""
        cells = assemble(self.master, self.submission, asked, alone)
        request = json.dumps({"cells": cells, "cell_timeout": self.limits.cell,
                              "memory": int(self.limits.memory * 2**30)})
        for _ in range(3):
            # A kernel needs time to come up, also when little is left.
            out, err, ended = runner(self.limits, request, max(
                self.deadline - time.monotonic(), 10))
            events = [json.loads(line) for line in out.splitlines(True) if line.endswith("}\n")]
            if any("start" in event for event in events) or not cells:
                break
            # No kernel came up, which now and then happens where many start at once: two take the
            # same port. That is not the student's doing.
        else:
            why = [e["broken"] for e in events if "broken" in e] or [err.strip()[-500:]]
            raise RuntimeError(f"no notebook could be run: {why[0]}")
        done = [event for event in events if "hung" in event]
        if events and "start" in events[-1]:  # the runner was killed in the middle of it
            done.append(events[-1] | {"hung": ended or "end", "gone": True, "error": "", "line": "",
                                      "passed": False})
        self.bent |= any(e["part"] == "canary" and e["passed"] for e in done)
        for event in done:
            for q in asked:
                if event["hung"] == "time" and event["needs"] == q.answers:
                    self.blame(q, event)
        for q in asked:
            self.judge(q, done)
        return done[-1] if done and done[-1]["gone"] else None

    def blame(self, q, event):
        text = (f"it ran longer than {self.limits.cell:g} seconds: a loop without an end?"
                if event["hung"] == "time" else "it ended the kernel (exit, quit, or a crash)")
        self.hung.add(q.name)
        self.found[q.name] = text, "" if event["part"] == "hidden" else event["line"], ""

    def judge(self, q, done):
        """Note whether a question passes, and if not, what keeps it from passing."""
        of_part = {e["part"]: e for e in done if e["label"] in (q.test, *q.answers)}
        failed = [part for part, text in zip(("test", "hidden"), hidden_tests(
            self.master.cells[q.test].source), strict=True) if does_something(text)
            and not of_part.get(part, {}).get("passed")]
        if not failed:
            self.passed.add(q.name)
        elif q.name not in self.found and (why := self.reason(q, done, of_part.get(failed[0]))):
            self.found[q.name] = tuple(ESCAPES.sub("", text)[:2000] for text in why)

    def reason(self, q, done, test):
        """(message, line, message of a hidden test); None where the cells do not tell."""
        for e in done:
            if e["part"] == "answer" and e["label"] in q.answers and not e["passed"]:
                if e["hung"]:
                    return None
                extra = (f" (there is {PACKAGES})"
                         if e["error"].startswith("ModuleNotFoundError") else "")
                return f"your cell ends in an error: {e['error']}{extra}", e["line"], ""
        if not test or test["hung"]:
            return ((f"not run: the {self.limits.total:g} seconds for one submission were used up",
                     "", "") if time.monotonic() > self.deadline else None)
        if test["error"].startswith("NotImplementedError"):
            return UNANSWERED, "", ""
        error = test["error"].removeprefix("AssertionError: ") or "a test does not pass"
        own = "\n".join(t for label in q.answers for t in self.submission.answers[label])
        its_own = test["line"] in {text.strip() for text in own.splitlines()}
        where = f"{'in your answer' if its_own else 'in the tests'}: {test['line']}"
        if not test["line"]:
            where = ""
        if test["part"] == "hidden":
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
        result = grade(master, read_submission(master.notebook, master), limits_of(args))
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
        out_of, hidden = result["out_of"] - result["by_hand"], sum(q.points for q in unseen)
        more = [f"{number(result['by_hand'])} are given by hand"] * bool(result["by_hand"]) + [
            f"{number(hidden)} are for tests that are all hidden"] * bool(hidden)
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
                         help="runs cells in place of `check.py --run`, such as a container")


def limits_of(args):
    return Limits(args.cell_timeout, args.time, args.memory,
                  shlex.split(args.runner) if args.runner else Limits().runner)


def guarded(prog, run, args):
    """run(args) with one sentence for what goes wrong; the exit code."""
    warnings.filterwarnings("ignore", module="nbformat")  # old notebooks lack ids: not their fault
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)

    def terminate(number, frame):
        raise KeyboardInterrupt(number)

    signal.signal(signal.SIGTERM, terminate)
    try:
        return run(args) or 0
    except (InputError, RuntimeError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{prog}: {shown(error.filename or 'a file')} could not be read or written "
              f"({error.strerror or error}).", file=sys.stderr)
        return 2
    except KeyboardInterrupt as signalled:
        print(f"{prog}: interrupted; what is graded is kept, run it again to go on.",
              file=sys.stderr)
        return 128 + (signalled.args or [signal.SIGINT])[0]


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--run"]:
        return run_cells()
    top = Parser(prog="check.py", description="Run the tests that you can see and count your "
                 "points.")
    top.add_argument("notebook", type=Path, nargs="+", help="your notebook, saved")
    add_limits(top)
    return guarded("check.py", check, top.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
