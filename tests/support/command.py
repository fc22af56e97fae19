"""The command line in a process of its own, as a user would give it."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from domainforge.cli import main; main()")


def start(
    arguments: Sequence[str], project: Path, variables: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Start a command in a project folder, in a process group that can be killed as one."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def give(
    arguments: Sequence[str],
    project: Path,
    variables: Mapping[str, str] | None = None,
    timeout_seconds: float = 120,
) -> "subprocess.CompletedProcess[str]":
    """Give a command and wait for its end."""
    child = start(arguments, project, variables)
    try:
        out, errors = child.communicate(timeout=timeout_seconds)
    finally:
        child.kill()
    return subprocess.CompletedProcess(child.args, child.returncode, out, errors)


def interrupt_wizard(
    project: Path, answers: str, question: str
) -> "subprocess.CompletedProcess[str]":
    """Answer the wizard up to a question and press Ctrl-C there; all that it showed comes back."""
    child = subprocess.Popen(
        [sys.executable, "-u", "-m", "domainforge.cli", "wizard"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(answers)
    child.stdin.flush()
    shown = ""
    for line in child.stdout:
        shown += line
        if line.startswith(question):
            break
    child.send_signal(signal.SIGINT)
    rest, errors = child.communicate(timeout=20)
    return subprocess.CompletedProcess(child.args, child.returncode, shown + rest, errors)
