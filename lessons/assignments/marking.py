"""Marks one submission: runs it by nbval, apart and within limits, and gives the points.

All questions are run together; those that did not pass, each once more by itself, so that what
hangs or spoils a name costs its own points and no others. If points are missing and the student
has added cells, all that is done again with these in place: an answer may rest on them.
"""

import contextlib
import json
import os
import re
import site
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from cells import assemble, hidden_tests
from runner import kill_below

# colours of a terminal, and characters that neither HTML nor XML can have
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
MISSING = "no answer: the cell is missing, or is no code cell"
UNANSWERED = "not answered yet"
RUNNER = str(Path(__file__).with_name("runner.py"))


@dataclass
class Limits:
    """What one submission may use."""

    cell: float = 20  # seconds for one cell
    total: float = 300  # seconds for one submission
    memory: float = 4  # GiB for a process
    runner: list = field(default_factory=lambda: [sys.executable, RUNNER])


class Stopped(Exception):
    """The grader was interrupted while this submission ran."""


class Runners:
    """The processes that run notebooks, and what their students' code leaves behind."""

    def __init__(self):
        self.lock = threading.Lock()
        self.alive = {}  # process id to Popen
        self.stopped = False

    def run(self, command, request, seconds):
        """Start `command`, give it the request on stdin; (stdout, stderr, whether it ended by
        itself). After `seconds` it is killed; whatever happened, nothing of it is left running."""
        # The runner can't remove its own scratch folder when it is killed: so it is in this one.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            with self.lock:
                if self.stopped:
                    raise Stopped
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    env=environment() | {"TMPDIR": scratch}, start_new_session=True, text=True,
                    encoding="utf-8", errors="replace")
                self.alive[process.pid] = process
            try:
                out, err = process.communicate(request, timeout=seconds)
                ended = process.returncode == 0
            except subprocess.TimeoutExpired:
                kill(process)
                (out, err), ended = process.communicate(), False
            except BaseException:  # Ctrl-C
                kill(process)
                raise
            with self.lock:
                del self.alive[process.pid]
                # A runner that was killed from below leaves orphans, which are ours since guard().
                for child in psutil.Process().children():
                    if child.pid not in self.alive:
                        kill(child)
                        with contextlib.suppress(psutil.Error):
                            child.wait(1)
        if self.stopped:
            raise Stopped
        return out, err, ended

    def stop(self):
        """Kill all, and start no more."""
        with self.lock:
            self.stopped = True
            for process in self.alive.values():
                kill(process)


def kill(process):
    """Kill a process and all below it, if it is still there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        kill_below(psutil.Process(process.pid))
        process.kill()


def environment():
    """What a submission sees of the environment: where Python is, nothing of whose it is."""
    keep = ["PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
            "SYSTEMROOT", "TEMP", "DOCKER_HOST"]  # the latter for docker itself
    return {name: os.environ[name] for name in keep if name in os.environ} | {
        "PYTHONUSERBASE": site.getuserbase()}


class Grader:
    """Runs submissions to one master within limits, and says what each question is worth."""

    def __init__(self, master, limits):
        self.master, self.limits = master, limits
        self.runners = Runners()

    def grade(self, submission, master=None):
        """A dict of plain values: points, out_of, by_hand, questions, flags, seconds.

        master   the student's own variant of it (with_seed), else the grader's
        by_hand  the points that a person still has to give
        Raises Stopped after stop(), RuntimeError if notebooks can't be run here at all.
        """
        master = master or self.master
        start = time.monotonic()
        work = Work(self, master, submission, start + self.limits.total)
        work.attempt(own=False)
        if submission.own and len(work.passed) < len(work.tests):
            work.attempt(own=True)  # an answer may rest on a cell of the student's own
        questions = []
        for q in master.questions:
            text = "\n\n".join(text for label in q.answers
                               for text in submission.answers.get(label, []))
            message = "" if q.test is None or q.name in work.passed else work.message(q)
            points = None if q.test is None else q.points if q.name in work.passed else 0
            questions.append({"name": q.name, "points": points, "out_of": q.points,
                              "by_hand": q.test is None, "message": message, "answer": text})
        flags = list(submission.notes) + work.flags
        if work.bent:
            flags.insert(0, "a cell that must fail did not: asserts, or what tests rest on, were "
                            "tampered with; no points")
            for question in questions:
                if question["points"] is not None:
                    question |= {"points": 0, "message": "The tests were tampered with."}
        return {"points": sum(q["points"] or 0 for q in questions), "out_of": master.points,
                "by_hand": sum(q["out_of"] for q in questions if q["points"] is None),
                "questions": questions, "flags": flags,
                "seconds": round(time.monotonic() - start, 1)}


class Work:
    """One submission while it is run: which questions have passed, and why others have not."""

    def __init__(self, grader, master, submission, deadline):
        self.grader, self.master, self.submission = grader, master, submission
        self.deadline = deadline
        self.tests = [q for q in master.questions if q.test]
        self.passed, self.bent, self.flags = set(), False, []
        self.found = {}  # question name to what kept it from passing
        self.dropped, self.hung = set(), set()  # texts of own cells, and of answers, that hung

    def attempt(self, own):
        """Run all questions at once; then those that did not pass one by one, which keeps each
        safe from the others: from time-outs, and from names that two of them use. If one hung, an
        answer may still miss an import that stands in another's: so once more with all cells but
        those that hung."""
        names = {q.name for q in self.tests}
        came_to_its_end = self.run(own, names)
        hung = set()
        for q in self.tests:
            if q.name not in self.passed and self.found.get(q.name) not in (MISSING, UNANSWERED):
                if not self.run(own, {q.name}):
                    hung.add(q.name)
        if not came_to_its_end and names - hung - self.passed:
            self.run(own, names - hung, others=True)
        if not own:
            self.flags += [f"{name}: {self.found[name]}" for name in sorted(hung - self.passed)]

    def run(self, own, names, others=False):
        """Some questions, by nbval. False: it did not come to its end."""
        limits = self.grader.limits
        asked = [q for q in self.tests if q.name in names]
        # A kernel needs time to come up, also when little is left.
        left = max(self.deadline - time.monotonic(), limits.cell + 30)
        if self.deadline < time.monotonic():
            for q in asked:
                self.found.setdefault(q.name, f"not run: the {limits.total:g} seconds for one "
                                              "submission were used up")
            return False
        without = self.dropped | self.hung if others else self.dropped
        notebook = assemble(self.master, self.submission, own, names, others, without)
        events, ended = self.execute(notebook, left)
        done = [e for e in events if "label" in e]
        self.bent |= any(e["part"] == "canary" and e["passed"] for e in done)
        hung = not ended or any(e["hung"] for e in done)
        if done and done[-1]["hung"] and done[-1]["part"] == "own":
            # one of the student's own, which need not be run
            self.dropped.add(notebook.cells[len(done) - 1].source)
            return self.run(own, names, others)
        if done and done[-1]["hung"] and done[-1]["part"] == "answer" and len(names) == 1:
            self.hung.add(notebook.cells[len(done) - 1].source)
        for q in asked:
            why = self.judge(q, [e for e in done if e["label"] in (q.test, *q.answers)])
            if not why:
                self.passed.add(q.name)
            elif not hung:
                if own or q.name not in self.found:  # with the student's own cells it says more
                    self.found[q.name] = why
            elif len(names) == 1:
                self.found[q.name] = (f"it ran longer than {limits.cell:g} seconds, or ended the "
                                      "kernel")
        return not hung

    def execute(self, notebook, seconds):
        """What the runner says of each cell, and whether it ended by itself."""
        limits = self.grader.limits
        request = json.dumps({"notebook": notebook, "cell_timeout": limits.cell,
                              "memory": int(limits.memory * 2**30)})
        for again in (True, True, False):
            before = time.monotonic()
            out, err, ended = self.grader.runners.run(limits.runner, request, seconds)
            events = [json.loads(line) for line in out.splitlines(True) if line.endswith("}\n")]
            if any("start" in e for e in events):
                return events, ended
            # No kernel came up, which now and then happens where many start at once: two take the
            # same port. That is not the student's doing, nor is the time it took.
            self.deadline += time.monotonic() - before
            if not again:
                why = [e["broken"] for e in events if "broken" in e] or [err.strip()[-500:]]
                raise RuntimeError(f"no notebook could be run: {why[0]}")

    def judge(self, q, events):
        """Why these events of a question give no points; '' if they do."""
        of_part = {e["part"]: e for e in events}
        hidden = hidden_tests(self.master.cells[q.test].source)[1]
        failed = [part for part in (["test", "hidden"] if hidden else ["test"])
                  if part not in of_part or of_part[part]["hung"] or not of_part[part]["passed"]]
        if not failed:
            return ""
        if [a for a in q.answers if a not in self.submission.answers]:
            return MISSING
        for e in events:
            if e["part"] == "answer" and not e["passed"]:
                return f"your cell ends in an error: {e['error']}"
        if failed[0] == "hidden":
            return "the tests that you see pass; a hidden test does not"
        error = of_part["test"]["error"] if "test" in of_part else "not run"
        if error.startswith("NotImplementedError"):
            return UNANSWERED
        return error.removeprefix("AssertionError: ") or "a test does not pass"

    def message(self, q):
        return ESCAPES.sub("", self.found.get(q.name, ""))[:2000]
