from pathlib import Path

import pytest

from domainforge.teacher.serve.server_log import ServerLog

PLAIN = """\
loading weights
Traceback (most recent call last):
  File "/home/me/server.py", line 42, in <module>
    main()
  File "/home/me/server.py", line 38, in serve
    return load(
           ^^^^^
  File "src/fast.pyx", line 3270, in fast.Server.__cinit__
RuntimeError: not a model
"""
PREFIXED = """\
(EngineCore pid=7) ERROR 11-23 08:00:00 [core.py:1] EngineCore failed to start.
(EngineCore pid=7) Traceback (most recent call last):
(EngineCore pid=7)   File "/opt/core.py", line 9, in run
(EngineCore pid=7)     self.allocate(all=True)
(EngineCore pid=7)     ~~~~~~~~~~~~~^^^^^^^^^^
(EngineCore pid=7) ValueError: no memory for the cache

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/opt/main.py", line 1, in <module>
    serve()
RuntimeError: the engine failed, see above
"""
FALSE_FRIENDS = """\
  indented, and no source
could not read File "x", which is no frame
E = m c ^ 2
"""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (PLAIN, "loading weights / RuntimeError: not a model"),
        (
            PREFIXED,
            "(EngineCore pid=7) ERROR 11-23 08:00:00 [core.py:1] EngineCore failed to start. / "
            "(EngineCore pid=7) ValueError: no memory for the cache / "
            "RuntimeError: the engine failed, see above",
        ),
        (FALSE_FRIENDS, " / ".join(line.strip() for line in FALSE_FRIENDS.splitlines())),
        ('  File "a.py", line 1, in f\n', "it said nothing"),
    ],
)
def test_last_words_leave_out_how_python_got_there(tmp_path: Path, said: str, words: str) -> None:
    log = ServerLog("kind", tmp_path)
    try:
        log.mark("starting")
        with log.path.open("a", encoding="utf-8") as file:
            file.write(said)
        assert log.last_words() == words
    finally:
        log.close(keep=True)
