"""Which requests are being asked, so that two calls that want the same one share it."""

from collections.abc import Iterable

from domainforge.teacher.jobs import Call, Job, Outcome


class UnderWay:
    """The jobs that are asked, and those of other calls that wait for the same reply."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._leaders: dict[str, Job] = {}
        self._followers: dict[str, list[Job]] = {}

    def claim(self, job: Job) -> bool:
        """Tell whether the job is to be asked; else it will get the reply to another."""
        if self._leaders.setdefault(job.key, job) is job:
            return True
        self._followers.setdefault(job.key, []).append(job)
        return False

    def end(self, outcomes: Iterable[Outcome]) -> None:
        """Give the outcomes, which the leaders have, to those who followed."""
        for outcome in outcomes:
            self._leaders.pop(outcome.key, None)
            for follower in self._followers.pop(outcome.key, ()):
                follower.call.outcomes.put([outcome])

    def leave(self, call: Call) -> list[Job]:
        """Drop the jobs of a call that ends; return those that now have to ask for themselves."""
        freed: list[Job] = []
        for key in [key for key, job in self._leaders.items() if job.call is call]:
            del self._leaders[key]
            freed += self._followers.pop(key, ())
        return freed
