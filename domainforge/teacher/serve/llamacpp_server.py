"""The process that runs a model in llama.cpp's own server.

Run as a script with its settings as JSON; it imports nothing of this package. The keeper that
starts it ends it too.
"""

import json
import sys
import threading
from typing import Any


def main() -> None:
    """Serve until a signal comes."""
    server = serve(json.loads(sys.argv[1]))
    print(f"serving at {server.listening_address}", file=sys.stderr, flush=True)
    threading.Event().wait()


def serve(settings: dict[str, Any]) -> Any:
    """Start the server and return when it answers."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    # Else replies would carry the path of the weights into the ledger.
    params.model_alias = {settings["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = settings["port"]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["ctx_per_slot"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.verbosity = -1
    params.ui = False
    # The default prompt cache is 8 GiB.
    params.cache_ram_mib = 256
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
