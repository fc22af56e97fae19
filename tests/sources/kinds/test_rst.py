from pathlib import Path

from docutils.parsers.rst import directives, roles

from tests.sources.samples import load_bytes

PAGE = """
=====
Ferry
=====

.. contents::

Call :func:`~kit.open_gate` or see :ref:`the gate <gate>`, ``literally``.

Fares
-----

======  =====
Day     Last
======  =====
Sunday  18:40
======  =====

.. code-block:: python

   # no heading
   fare = 2

.. function:: open_gate(name)
              open_gate()
   :async:

   Opens the gate.

   .. versionadded:: 3.2
      The *name*.

.. toctree::

   other

* a

  * b

|who| [1]_

.. |who| replace:: everyone
.. [1] A footnote.
"""


def test_structure_becomes_markdown(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "x.rst", PAGE.encode()).documents
    assert (document.title, document.media_type) == ("Ferry", "text/x-rst")
    for kept in (
        "# Ferry\n\nCall `open_gate` or see the gate, `literally`.\n\n## Fares\n\n",
        "| Day | Last |\n| --- | --- |\n| Sunday | 18:40 |",
        "```python\n# no heading\nfare = 2\n```",
        "**open_gate(name)**\n\n**open_gate()**\n\nOpens the gate.",
        "**versionadded 3.2:** The *name*.",
        "* a\n\n  + b",
        "everyone [1]",
        "A footnote.",
    ):
        assert kept in document.text
    assert "other" not in document.text
    assert "async" not in document.text


def test_nothing_outside_the_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the,secret\nwords,here\n")
    page = f"""
Title
=====

.. include:: {secret}
.. literalinclude:: {secret}
.. csv-table:: t
   :file: {secret}
.. csv-table:: u
   :url: {secret.as_uri()}
.. raw:: html
   :file: {secret}

.. raw:: html

   <script>x()</script>

End.
"""
    (document,) = load_bytes(tmp_path, "x.rst", page.encode()).documents
    assert "secret" not in document.text.replace(str(secret), "")
    assert "words" not in document.text
    assert "script" not in document.text
    assert document.text.endswith("End.")


def test_a_file_changes_nothing_for_the_next(tmp_path: Path) -> None:
    before = dict(directives._directives), dict(roles._roles)  # type: ignore[attr-defined]
    page = ".. role:: mine(strong)\n\n.. thing:: x\n\n   :mine:`a` :other:`b`\n"
    (document,) = load_bytes(tmp_path, "x.rst", page.encode()).documents
    assert document.text == "**x**\n\n**a** b"
    assert (directives._directives, roles._roles) == before  # type: ignore[attr-defined]


def test_broken_markup_is_read_all_the_same(tmp_path: Path) -> None:
    page = "Title\n==\n\n.. code-block:: \n\n*open `half\n\n|x|\n\n:role:`\n\n====\n\n=== ==\na\n"
    (document,) = load_bytes(tmp_path, "x.rst", page.encode()).documents
    assert "open" in document.text


def test_hostile_structure_ends_as_a_fault_or_text(tmp_path: Path) -> None:
    nested = "".join("  " * depth + "* x\n\n" for depth in range(600))
    loaded = load_bytes(tmp_path, "x.rst", nested.encode())
    assert loaded.documents or [f.reason for f in loaded.faults] == ["unreadable"]
    replaced = ".. |a| replace:: |b|\n.. |b| replace:: |a|\n\n|a| text"
    assert "text" in load_bytes(tmp_path, "y.rst", replaced.encode()).documents[0].text
