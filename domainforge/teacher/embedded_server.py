"""The process that runs the embedded model: llama.cpp's own server, and its end with its parent.

Run as a script with its settings as JSON; it imports nothing of this package.
"""

import json
import os
import sys
import threading
import time
from typing import Any

_PARENT_CHECK_SECONDS = 0.5


def main() -> None:
    """Serve until the parent closes our standard input, or is gone."""
    settings = json.loads(sys.argv[1])
    ready = os.fdopen(os.dup(1), "w")
    # Native code may print at any time; on the channel of the address it would be in the way.
    os.dup2(2, 1)
    threading.Thread(target=_exit_at_end_of_input, daemon=True).start()
    server = serve(settings)
    print(json.dumps({"base_url": f"{server.listening_address}/v1"}), file=ready, flush=True)
    # Standard input alone won't do: other children of a killed parent may hold its other end.
    # Nor would PR_SET_PDEATHSIG, which fires when the parent's *thread* ends.
    while os.getppid() == settings["parent"]:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(0)


def serve(settings: dict[str, Any]) -> Any:
    """Start the server and return when it answers."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    # Else replies would carry the path of the weights into the ledger.
    params.model_alias = {settings["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["ctx_per_slot"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.verbosity = -1
    params.ui = False
    # The default prompt cache is 8 GiB.
    params.cache_ram_mib = 256
    return xllamacpp.Server(params)


def _exit_at_end_of_input() -> None:
    # Not `sys.stdin`: its lock, held here, would abort the interpreter when `serve` fails.
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
