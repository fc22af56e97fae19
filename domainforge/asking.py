"""Questions on a terminal: asked until the answer passes, each time with what was wrong."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from domainforge.errors import ConfigError, DomainForgeError
from domainforge.stage import Settings
from domainforge.typed_address import carries_password

T = TypeVar("T")


@dataclass(frozen=True)
class Asker:
    """Asks on a console; answers are lines of standard input."""

    console: Console

    def ask(
        self,
        question: str,
        check: Callable[[str], T],
        default: str | None,
        hint: str | None = None,
    ) -> T:
        """Ask until the answer passes; say each time what was wrong with it.

        Args:
            question: What stands before the colon.
            check: Makes the result of an answer, or raises a DomainForgeError.
            default: Taken for an empty answer; None where there must be one.
            hint: A line above the question.

        Raises:
            EOFError: The answers ended.
        """
        if hint:
            self.say(hint, "dim")
        while True:
            shown = f" [{default}]" if default else ""
            self.console.print(Text(f"{question}{shown}: ", style="bold"), end="")
            typed = self.console.input("").strip()
            if not sys.stdin.isatty():
                # No terminal has shown it.
                self.say("(not shown)" if carries_password(typed) else typed)
            answer = typed or default
            if answer is None:
                self.say("an answer is needed here", "yellow")
                continue
            try:
                return check(answer)
            except DomainForgeError as error:
                self.say(str(error), "yellow")

    def choose(self, question: str, choices: tuple[str, ...], default: str) -> str:
        """Ask for one of some words, or its beginning."""

        def check(answer: str) -> str:
            matches = [choice for choice in choices if choice.startswith(answer.lower())]
            if len(matches) != 1 and answer not in choices:
                raise ConfigError(f"write {' or '.join(choices)}, not {answer!r}")
            return answer if answer in choices else matches[0]

        return self.ask(f"{question} ({' / '.join(choices)})", check, default)

    def ask_yes(self, question: str, *, default: bool) -> bool:
        """Ask for yes or no."""
        answer = self.choose(question, ("yes", "no"), "yes" if default else "no")
        return answer == "yes"

    def head(self, title: str, hint: str | None) -> None:
        """Begin a group of questions."""
        self.console.print()
        self.say(title, "bold cyan")
        if hint:
            self.say(hint, "dim")

    def say(self, text: str, style: str = "") -> None:
        """Print text as it is, without markup."""
        self.console.print(Text(text, style=style))


def hint_of(model: type[Settings], name: str) -> str:
    """Return the description of a field of a config."""
    return model.model_fields[name].description or ""
