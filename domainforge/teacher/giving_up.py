"""When a run has seen enough failures to end, and what it then says."""

from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.fault import Fault, down_advice
from domainforge.teacher.lane import Lane
from domainforge.teacher.pace import Pace

_MEND = "mend that and run the same command again: replies so far are kept"


def reason_to_stop(
    lane: Lane, fault: Fault, failed: int, finished: int, config: TeacherConfig, pace: Pace
) -> str | None:
    """Say why a run has to end after a request was given up; None where it may go on.

    Args:
        lane: The last that was tried, its failure counted.
        fault: The last that it met.
        failed: Requests given up so far.
        finished: Those, and the replies.
        config: How many failures are too many.
        pace: How few are, where nobody ever answered.
    """
    lanes = (lane, *lane.others)
    limit = config.stop_after_failures
    if fault.passing and not any(one.answered for one in lanes):
        limit = min(limit, pace.down_after)
    in_row = sum(one.failures_in_row for one in lanes)
    others = lane.describe_others() if fault.passing else ""
    last = f"the last with {fault.kind} ({fault.detail})"
    # What fails here can still be done elsewhere, unless it is the request that is at fault.
    if in_row >= limit and not (fault.passing and lane.has_relief):
        if fault.kind == "connection":
            return down_advice(lane.endpoint.base_url, fault) + others
        where = lane.endpoint.base_url
        return f"{in_row} requests in a row failed at {where}, {last}{others}; {_MEND}"
    if failed >= limit and failed > config.max_failed_share * finished:
        return (
            f"{failed} of {finished} requests failed, more than teacher.max_failed_share "
            f"({config.max_failed_share:g}) allows, {last}; {_MEND}"
        )
    return None
