"""Asks for sources, teacher, student, budget and exam; writes a commented pipeline file."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from rich.console import Console

from domainforge.asking import Asker, hint_of
from domainforge.errors import ConfigError, DomainForgeError, TeacherError
from domainforge.evaluation.exam import load_exam
from domainforge.files import cache_folder, find_file
from domainforge.generation.foresight import CallCount
from domainforge.generation.recipes import RECIPES
from domainforge.pipeline_file import check_pipeline
from domainforge.stages.evaluate import EvaluateConfig
from domainforge.starter import pipeline_text, run_name, write_pipeline
from domainforge.teacher.config import BudgetConfig, PriceConfig, TeacherConfig
from domainforge.teacher.prices import find_price
from domainforge.teacher.serve.embedded import embedded_model_path
from domainforge.training.config import TrainConfig
from domainforge.wizard_sources import Place, ask_places

T = TypeVar("T")

_CHARS_PER_PASSAGE = 800
_MOST_COUNTED_BYTES = 20_000_000
_NAMES = ("base_url", "model", "api_key_env")

_DOSES = ", ".join(f"{name} {each.least:g} to {each.most:g}" for name, each in RECIPES.items())
_WHAT_A_RECIPE_IS = (
    "What is asked and how often, by the size of the documents. Tokens of rows for each token of "
    f"them, fewer the larger they are: {_DOSES}. "
    "Or a number: so many plain questions about each passage."
)


class Outcome(NamedTuple):
    """The file that was written, and whether it is to be run now."""

    path: Path
    run_now: bool


def ask_pipeline(console: Console, project: Path) -> Outcome:
    """Ask for a pipeline and write it; nothing is written before the last answer.

    Raises:
        ConfigError: The answers ended too early.
        KeyboardInterrupt: With what to tell the user.
    """
    wizard = _Wizard(Asker(console), project)
    try:
        path = wizard.write()
    except KeyboardInterrupt:
        raise KeyboardInterrupt("nothing was written") from None
    except EOFError:
        raise ConfigError("the answers ended too early; nothing was written") from None
    try:
        return Outcome(path, wizard.offer_run(path))
    except EOFError:
        console.print()
        return Outcome(path, run_now=False)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{path} is written; domainforge run {path}") from None


def _numeric(check: Callable[[str], T]) -> Callable[[str], T]:
    """Say what is wanted when an answer is no number, or one that can't be."""

    def read(answer: str) -> T:
        try:
            return check(answer)
        except ValueError as error:
            raise ConfigError(f"write a number of dollars above 0, not {answer!r}") from error

    return read


def make_teacher(values: Mapping[str, Any]) -> TeacherConfig:
    """Make a teacher of values that were typed.

    Raises:
        ConfigError: What is wrong with them, in words.
    """
    try:
        return TeacherConfig.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(fault) for fault in error.errors())) from error


@dataclass
class _Wizard:
    asker: Asker
    project: Path

    def write(self) -> Path:
        """Ask everything, then write the file; return its path in the project."""
        self.asker.say("What stands in [brackets] is taken when you press Enter. Ctrl-C ends this.")
        places = ask_places(self.asker, self.project)
        values: dict[str, Any] = {"seed": 7, "sources": [dict(place.values) for place in places]}
        values["teacher"] = self._ask_teacher()
        values["train"] = {"student": self._ask_student()}
        values["generate"] = self._ask_budget(values, places)
        if isinstance(values["teacher"], dict):
            values["teacher"] |= self._ask_cap(values["teacher"])
        exam = self._ask_exam(places[0])
        if exam:
            values["evaluate"] = {"exam": exam}
        path = self._ask_path(places[0])
        values["name"] = path.stem
        write_pipeline(self.project / path, pipeline_text(values, path))
        return path

    def offer_run(self, path: Path) -> bool:
        """Ask whether to run the file now."""
        self.asker.console.print()
        self.asker.say(f"wrote {path}; to run it: domainforge run {path}", "green")
        return self.asker.ask_yes("Run it now?", default=False)

    def _ask_teacher(self) -> Any:
        self.asker.head("Teacher", "Writes the questions and answers that the student learns from.")
        kinds = ("embedded", "endpoint")
        kind = self.asker.choose("Which one?", kinds, "embedded")
        if kind == "embedded":
            try:
                embedded_model_path()
            except TeacherError as error:
                self.asker.say(f"not installed here yet: {error}", "yellow")
            return "embedded"
        while True:
            values: dict[str, Any] = {}
            for name in _NAMES:
                self._ask_teacher_field(name, values)
            if not self.asker.ask_yes("Try it with three small requests?", default=True):
                return values
            fault = self._try_teacher(values)
            if fault is None or self.asker.ask_yes("Keep it all the same?", default=False):
                return values

    def _ask_teacher_field(self, name: str, values: dict[str, Any]) -> None:
        def check(answer: str) -> str | None:
            if name == "api_key_env" and not answer:
                return None
            trial = {"base_url": "http://localhost/v1", "model": "model"}
            make_teacher({**trial, name: answer})
            return answer

        default = "" if name == "api_key_env" else None
        answer = self.asker.ask(name, check, default, hint=hint_of(TeacherConfig, name))
        if answer is not None:
            values[name] = answer
        if name == "api_key_env" and answer and not os.environ.get(answer):
            self.asker.say(f"{answer} is not set here; set it before the run", "yellow")

    def _try_teacher(self, values: Mapping[str, Any]) -> str | None:
        from domainforge.teacher.session import check_teacher

        try:
            report = check_teacher(make_teacher(values), self.project / "ledger.sqlite")
        except DomainForgeError as error:
            self.asker.say(str(error), "red")
            return str(error)
        if report.fault or report.model_found is False:
            fault = report.fault or f"no model {report.model}; there: {', '.join(report.models)}"
            self.asker.say(fault, "red")
            return fault
        speed = report.tokens_per_second
        told = f", {speed:.0f} tokens/s" if speed else ""
        schema = "holds replies to a JSON schema" if report.supports_schema else "no JSON schema"
        self.asker.say(f"it answers: {report.model}, {schema}{told}", "green")
        return None

    def _ask_student(self) -> str:
        self.asker.head("Student", hint_of(TrainConfig, "student"))

        def check(answer: str) -> str:
            if answer == "embedded":
                return answer
            for path in (Path(answer).expanduser(), self.project / answer):
                if path.is_dir():
                    if (path / "config.json").exists():
                        return answer
                    raise ConfigError(f"{answer} is a folder without config.json, so no model")
            if answer.startswith((".", "/", "~")) or answer.count("/") != 1:
                raise ConfigError(
                    f"{answer!r} is neither 'embedded', nor a folder that is there, nor a Hub id "
                    "such as HuggingFaceTB/SmolLM2-135M-Instruct"
                )
            return answer

        return self.asker.ask("Student", check, "embedded")

    def _ask_budget(self, values: Mapping[str, Any], places: Sequence[Place]) -> dict[str, Any]:
        self.asker.head("Recipe", _WHAT_A_RECIPE_IS)
        names = ", ".join(RECIPES)

        def check(answer: str) -> dict[str, Any]:
            if answer in RECIPES:
                return {"recipe": answer}
            if not answer.isdecimal() or not 1 <= int(answer) <= 1000:
                raise ConfigError(f"write {names}, or a number from 1 to 1000, not {answer!r}")
            return {"tasks": [{"prompt": "qa", "per_chunk": int(answer)}]}

        while True:
            generate = self.asker.ask(f"Recipe ({names}, or a number)", check, "default")
            calls = self._predict({**values, "generate": generate}, places)
            if self.asker.ask_yes(f"{calls}; go on?", default=True):
                return generate

    def _ask_cap(self, teacher: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a cap in dollars, and for prices where there is one and they aren't known."""
        price = find_price(teacher["base_url"], teacher["model"])
        if price.free:
            return {}
        self.asker.say(f"price: {price.describe()}")

        def check(answer: str) -> float | None:
            if not answer:
                return None
            BudgetConfig(max_usd=float(answer))
            return float(answer)

        def check_price(answer: str) -> float:
            PriceConfig(input_usd_per_million=float(answer), output_usd_per_million=0)
            return float(answer)

        hint = hint_of(BudgetConfig, "max_usd")
        cap = self.asker.ask("Most dollars, or nothing", _numeric(check), "", hint=hint)
        if cap is None:
            return {}
        values: dict[str, Any] = {"budget": {"max_usd": cap}}
        if not price.known:
            names = ("input_usd_per_million", "output_usd_per_million")
            values["price"] = {
                name: self.asker.ask(
                    name, _numeric(check_price), None, hint=hint_of(PriceConfig, name)
                )
                for name in names
            }
        return values

    def _predict(self, values: Mapping[str, Any], places: Sequence[Place]) -> str:
        count = self._count_calls(values, places)
        if count is not None:
            paid = f", {count.in_ledger:,} of them in the ledger" if count.in_ledger else ""
            return f"That makes {count.planned:,} requests to the teacher{paid}"
        files = [file for place in places if place.found for file in place.found.files]
        unknown = any(place.found is None for place in places)
        tasks = values["generate"].get("tasks")
        if not files or tasks is None:
            return "How many requests that makes is not known before the documents are read"
        chars = sum(file.path.stat().st_size for file in files)
        passages = max(len(files), math.ceil(chars / _CHARS_PER_PASSAGE))
        number = passages * tasks[0]["per_chunk"]
        told = f"That makes about {number:,} requests to the teacher, by file size"
        more = "; those for the other places are not known before they are read"
        return f"{told}{more if unknown else ''}"

    def _count_calls(self, values: Mapping[str, Any], places: Sequence[Place]) -> CallCount | None:
        """Count as the run would; None where that would fetch a student or read for long."""
        from domainforge.dry_run import plan_run

        if not self._is_soon_read(places):
            return None
        student = values["train"]["student"]
        local = (Path(student).expanduser() / "config.json", self.project / student / "config.json")
        prepared = student == "embedded" and any(cache_folder().glob("*/config.json"))
        if not prepared and not any(path.exists() for path in local):
            return None
        # A run of another name is in nobody's way: what it did before plays no part.
        pipeline = check_pipeline({**values, "name": "wizard-count"}, "wizard")
        try:
            return plan_run(pipeline, self.project, until_stage="generate").calls
        except DomainForgeError:
            return None

    def _is_soon_read(self, places: Sequence[Place]) -> bool:
        """Tell whether everything is on this disk, and small enough to be read for a count."""
        left = _MOST_COUNTED_BYTES
        for place in places:
            if place.path is None:
                return False
            root = find_file(place.path, self.project)
            paths = [file.path for file in place.found.files] if place.found else [root]
            for path in paths if place.found or not root.is_dir() else root.rglob("*"):
                left -= path.lstat().st_size
                if left < 0:
                    return False
        return True

    def _ask_exam(self, place: Place) -> str | None:
        self.asker.head("Exam", hint_of(EvaluateConfig, "exam"))

        def check(answer: str) -> str | None:
            if not answer:
                return None
            path = find_file(answer, self.project)
            questions = load_exam(path)
            self.asker.say(f"{len(questions)} questions")
            return answer

        beside = f"{(place.path or '').rstrip('/')}/exam.jsonl"
        there = place.path is not None and find_file(beside, self.project).exists()
        default = beside if there else ""
        return self.asker.ask("Exam file, or nothing", check, default)

    def _ask_path(self, place: Place) -> Path:
        self.asker.head("Pipeline file", None)

        def check(answer: str) -> Path:
            name = answer if answer.endswith((".yaml", ".yml")) else f"{answer}.yaml"
            path = Path(name) if "/" in name else Path("pipelines") / name
            if (self.project / path).exists():
                raise ConfigError(f"{path} is there already and stays as it is; choose another")
            if run_name(path.stem) != path.stem:
                raise ConfigError("letters, digits, '.', '_' and '-' only: it names the run too")
            return path

        return self.asker.ask("Name", check, run_name(place.name))


def _describe(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"teacher.{place}: {message}" if place else f"teacher: {message}"
