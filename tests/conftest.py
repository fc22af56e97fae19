"""What every test runs under: one thread, no internet, no keys, and no silent skip."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# All of this must stand before torch, transformers or huggingface_hub are imported. Spinning
# OpenMP threads make two tests side by side ten times slower.
PRIVATE = Path(tempfile.mkdtemp(prefix="domainforge-tests-"))
_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$")
for _name in [name for name in os.environ if _SECRET.search(name)]:
    del os.environ[_name]
os.environ.pop("COLUMNS", None)  # workers of pytest-xdist have it; pipes are wide by default
os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "GOMP_SPINCOUNT": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HOME": str(PRIVATE / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "DOMAINFORGE_CACHE": str(PRIVATE / "cache"),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
)

# Where the whole suite runs in a shell's background, Ctrl-C is ignored, and every command that a
# test starts and interrupts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# One set of examples for everyone where a change is judged; others elsewhere, to find more.
# No example has a time of its own: a machine that does other work besides is no fault of theirs.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("elsewhere", deadline=None)
settings.load_profile("ci" if "CI" in os.environ else "elsewhere")

MAY_SKIP = frozenset({"gpu", "browser", "postgres", "mysql", "compiler"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Report tests whose tool is absent as not run; `.ci/run` sees to it that it is there."""
    if shutil.which("cc") or shutil.which("gcc") or os.environ.get("CC"):
        return
    for item in items:
        if item.get_closest_marker("compiler"):
            item.add_marker(pytest.mark.skip(reason="needs a C compiler (cc)"))


@pytest.fixture(scope="session")
def tiny_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a causal language model of well under a million parameters."""
    from tests.support.tiny_student import make_tiny_student

    return make_tiny_student(tmp_path_factory.mktemp("tiny-student"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that skips, unless its mark says that its tool may be absent."""
    report = yield
    allowed = any(item.get_closest_marker(name) for name in MAY_SKIP)
    if report.skipped and not hasattr(report, "wasxfail") and not allowed:
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skips itself."""
    report = yield
    if report.skipped:
        _fail(report)
    return report


def pytest_unconfigure() -> None:
    """Remove the private caches."""
    shutil.rmtree(PRIVATE, ignore_errors=True)


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{why}; only tests marked {', '.join(sorted(MAY_SKIP))} may skip"
