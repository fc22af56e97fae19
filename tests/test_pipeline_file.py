import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import domainforge
from domainforge.config_faults import settings_of
from domainforge.errors import ConfigError
from domainforge.files import shipped_folder
from domainforge.pipeline_file import Pipeline, check_pipeline, load_pipeline
from domainforge.stage import Settings

SHIPPED = sorted(shipped_folder("pipelines").glob("*.yaml"))
GOOD = "name: town\nsources:\n  - files: docs\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "town.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str, *overrides: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as seen:
        load_pipeline(path, overrides)
    return str(seen.value).replace(str(path), "town.yaml").splitlines()


def test_only_sources_are_needed(tmp_path: Path) -> None:
    pipeline = load_pipeline(write(tmp_path, "sources: [{files: docs}]\n"))
    assert pipeline.sources[0].files == "docs"
    assert pipeline.teacher.embedded
    assert (pipeline.generate.tasks, pipeline.generate.named_recipe) == (None, "default")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.name))
def test_every_shipped_pipeline_loads(path: Path) -> None:
    assert load_pipeline(path).sources


def test_there_is_a_shipped_pipeline_to_test() -> None:
    assert "quickstart.yaml" in {path.name for path in SHIPPED}


def test_all_faults_come_together_with_lines_and_near_matches(tmp_path: Path) -> None:
    text = """name: town
seeds: 3
sources:
  - files: docs
    inclde: ["*.md"]
filter:
  min_word: 3
  min_support_share: 7
train:
  mixture: {dokuments: 1}
  epochs: many
generate:
  tasks:
    - {prompt: qa, per_chunk: 0}
    - {per_chunk: 2}
"""
    found = faults(tmp_path, text)
    assert "town.yaml:2: seeds: unknown key; did you mean 'seed'?" in found
    assert "town.yaml:5: sources.0.inclde: unknown key; did you mean 'include'?" in found
    assert "town.yaml:10: train.mixture.dokuments: unknown key; did you mean 'documents'?" in found
    assert "town.yaml:15: generate.tasks.1.prompt: missing; this key has no default" in found
    assert any(line.startswith("town.yaml:7: filter.min_word: unknown key; did") for line in found)
    assert any("town.yaml:8: filter.min_support_share: " in line for line in found)
    assert any("(it is 'many')" in line and "town.yaml:11: train.epochs" in line for line in found)
    assert any("town.yaml:14: generate.tasks.0.per_chunk" in line for line in found)
    assert [line.split(":")[1] for line in found] == ["2", "5", "7", "8", "10", "11", "14", "15"]


def test_a_key_far_from_any_other_gets_no_advice(tmp_path: Path) -> None:
    assert faults(tmp_path, GOOD + "xyzzy: 1\n") == ["town.yaml:4: xyzzy: unknown key"]


@pytest.mark.parametrize(
    ("text", "place", "meant"),
    [
        ("teacher: {max_usd: 5}", "teacher.max_usd", "budget.max_usd"),
        ("teacher: {max_usdd: 5}", "teacher.max_usdd", "budget.max_usd"),
        ("teacher: {max_retry: 5}", "teacher.max_retry", "max_retries"),
        ("teacher: {api_key: K}", "teacher.api_key", "api_key_env"),
        ("teacher: {price: {input: 1}}", "teacher.price.input", "input_usd_per_million"),
        ("generate: {per_chunk: 3}", "generate.per_chunk", "tasks.0.per_chunk"),
        ("epochs: 3", "epochs", "train.epochs"),
        ("base_url: x", "base_url", "teacher.base_url"),
        ("train: {documents: 3}", "train.documents", "mixture.documents"),
    ],
)
def test_a_key_in_the_wrong_place_or_half_written(
    tmp_path: Path, text: str, place: str, meant: str
) -> None:
    hint = f"town.yaml:4: {place}: unknown key; did you mean '{meant}'?"
    assert hint in faults(tmp_path, f"{GOOD}{text}\n")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("teacher.budget", "5", "write a mapping, for example {max_usd: 5}; its keys: max_usd, "),
        ("teacher.price", "3", "{input_usd_per_million: 3, output_usd_per_million: 3}; its keys"),
        ("teacher.privacy", "refuse", "for example {secrets: refuse}; its keys: secrets, "),
        ("teacher.privacy", "off", "for example {secrets: 'off'}"),
        ("generate.novelty", "off", "write null for none, or a mapping, for example {stop_share"),
        ("teacher.endpoints", "['http://x']", "for example {base_url: ...}; its keys: base_url"),
        ("teacher.endpoints", "http://x", "a list of mappings, for example [{base_url: ...}]; "),
        ("teacher.serve_args", "--x", "write a list, one word each: [--a, '1']"),
        ("teacher.serve_args", "[--x, 1]", "write text; a number"),
        ("teacher.form", "chatt", "write 'auto', 'chat' or 'completion'; did you mean 'chat'?"),
        ("teacher.concurrency", "0", "write a number of at least 1"),
        ("evaluate", "x.jsonl", "for example {exam: x.jsonl}; its keys: exam, control"),
        ("evaluate", "", "write a mapping or leave the key out, for example {"),
        ("generate", "rich", "for example {recipe: rich}; its keys: recipe, tasks"),
        ("generate.recipe", "rihc", "did you mean 'rich'?"),
        ("generate", "{tasks: qa}", "write a list of mappings, for example [{prompt: qa}]"),
        ("judge.quality", "on", "for example {min_probability: 0.5}; its keys"),
        ("filter.skip", "empty", "write a list, one word each: [empty]"),
        ("train.epochs", "many", "write a number (it is 'many')"),
        ("train.keep_best", "perhaps", "write true or false"),
    ],
)
def test_faults_say_what_to_write(tmp_path: Path, key: str, value: str, says: str) -> None:
    assert any(says in line for line in faults(tmp_path, GOOD, f"{key}={value}"))


@pytest.mark.parametrize(
    "wrong", [None, True, -7, 0.123, "sk-secret-123", [], ["sk-secret-123"], {"x": "y"}, {5: 1}]
)
def test_no_fault_speaks_of_python(wrong: object) -> None:
    """Try a value in every place of a pipeline file."""

    def places(model: type[Settings], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, info in model.model_fields.items():
            yield (*above, name)
            inner = settings_of(info.annotation)
            if inner is not None:
                item = () if inner is info.annotation or "tuple" not in str(info) else ("0",)
                yield from places(inner, (*above, name, *item))

    told: dict[tuple[str, ...], str] = {}
    for place in places(Pipeline, ()):
        values: Any = wrong
        for part in reversed(place):
            values = [values] if part == "0" else {part: values}
        try:
            check_pipeline({"sources": [{"files": "d"}]} | values, "f")
        except ConfigError as error:
            told[place] = str(error)
    assert len(told) > 10
    words = r"Input|\b(valid|instance|tuple|dict|dictionary|None|True|False|\w+Config)\b"
    assert [text for text in told.values() if re.search(words, text)] == []
    about_teacher = [text for place, text in told.items() if place[0] == "teacher"]
    assert [text for text in about_teacher if "sk-secret" in text] == []


@pytest.mark.parametrize(("value", "wanted"), [("no", "no"), ("yes", "yes"), ("auto", "auto")])
def test_words_that_yaml_takes_for_booleans(tmp_path: Path, value: str, wanted: str) -> None:
    teacher = "{base_url: 'http://127.0.0.1:1/v1', model: m, privacy: {phone_region: NO}"
    path = write(tmp_path, f"{GOOD}teacher: {teacher}, json_schema: {value}}}\n")
    assert load_pipeline(path).teacher.json_schema == wanted
    assert load_pipeline(path).teacher.privacy.phone_region == "NO"
    assert load_pipeline(path, ["teacher.json_schema=no"]).teacher.json_schema == "no"


def test_missing_sources(tmp_path: Path) -> None:
    found = faults(tmp_path, "name: town\n")
    assert found == ["town.yaml: sources: missing; this key has no default"]


def test_a_folder_is_no_pipeline_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"`domainforge init {tmp_path.name}` writes one for it"):
        load_pipeline(tmp_path)


def test_a_key_that_is_there_twice(tmp_path: Path) -> None:
    text = GOOD + "train:\n  epochs: 1\n  epochs: 2\nname: other\n"
    assert faults(tmp_path, text) == [
        "town.yaml:6: train.epochs: the key is here twice",
        "town.yaml:7: name: the key is here twice",
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("name: [a\n", "town.yaml:2: not YAML"),
        ("name: a: b\n", "town.yaml:1: not YAML"),
        ("name: !!python/object/apply:os.system ['true']\n", "town.yaml:1: not YAML"),
        ("name: \x07\n", "town.yaml: not YAML"),
        ("", "town.yaml:1: a pipeline file holds `key: value` lines"),
        ("- a\n- b\n", "town.yaml:1: a pipeline file holds"),
    ],
)
def test_what_is_not_a_pipeline_file(tmp_path: Path, text: str, where: str) -> None:
    assert faults(tmp_path, text)[0].startswith(where)


def test_a_file_that_is_missing_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such pipeline file; `domainforge init`"):
        load_pipeline(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: M\xfchle\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: can't be read as UTF-8 text"):
        load_pipeline(tmp_path / "latin.yaml")


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "a/b", "../x", ""])
def test_a_name_stays_within_the_runs_folder(tmp_path: Path, name: str) -> None:
    assert "town.yaml:1: name" in faults(tmp_path, f"name: '{name}'\nsources: [{{files: d}}]\n")[0]


def test_overrides_win(tmp_path: Path) -> None:
    text = GOOD + "teacher: embedded\ngenerate:\n  tasks: [{prompt: qa}, {prompt: other}]\n"
    pipeline = load_pipeline(
        write(tmp_path, text),
        [
            "seed=11",
            "train.epochs=0.5",
            "train.mixture.documents=3",
            "generate.tasks.1.per_chunk=7",
            "sources.0.files=elsewhere",
            "evaluate.exam=null",
            "filter.skip=[wrong_language]",
            "teacher.base_url=http://127.0.0.1:1/v1",
            "teacher.model=m",
            "name=x=y".replace("x=y", "x"),
        ],
    )
    assert (pipeline.seed, pipeline.train.epochs, pipeline.name) == (11, 0.5, "x")
    assert pipeline.train.mixture.documents == 3
    assert [task.per_chunk for task in pipeline.generate.tasks] == [1, 7]
    assert pipeline.sources[0].files == "elsewhere"
    assert pipeline.filter.skip == ("wrong_language",)
    assert (pipeline.teacher.embedded, pipeline.teacher.model) == (False, "m")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seed", "write it as key.path=value"),
        ("=3", "write it as key.path=value"),
        ("seed=[1", "the value is not YAML"),
        ("sources.5.files=x", "there is nothing at '5'"),
        ("sources.first.files=x", "there is nothing at 'first'"),
        ("sources.1=x", "'1' is not a place in the list"),
        ("filter.skip.0.name=x", "there is nothing at 'name'"),
    ],
)
def test_overrides_that_cannot_be(tmp_path: Path, override: str, says: str) -> None:
    (found,) = faults(tmp_path, GOOD + "filter: {skip: [empty]}\n", override)
    assert found.startswith(f"--set {override}: ")
    assert says in found


def test_an_override_is_checked_like_the_file(tmp_path: Path) -> None:
    found = faults(tmp_path, GOOD, "train.epoch=3", "seed=-1")
    assert "town.yaml: train.epoch: unknown key; did you mean 'epochs'?" in found
    assert any("seed" in line and "(it is -1)" in line for line in found)


@pytest.mark.parametrize(
    "teacher",
    [
        "{base_url: 'http://127.0.0.1:1/v1', model: m, api_key_env: sk-secret-123}",
        "{base_url: 'http://127.0.0.1:1/v1', model: m, api_key: sk-secret-123}",
        "{base_url: 'https://sk-secret-123@example.org/v1', model: m}",
        "sk-secret-123",
        "[sk-secret-123]",
    ],
)
def test_a_pasted_key_is_not_echoed(tmp_path: Path, teacher: str) -> None:
    (found,) = faults(tmp_path, GOOD + f"teacher: {teacher}\n")
    assert found.startswith("town.yaml:4: teacher")
    assert "sk-secret" not in found
    (again,) = faults(tmp_path, GOOD, f"teacher={teacher}")
    assert "sk-secret" not in again


@pytest.mark.parametrize(
    "source",
    [
        "{sql: {url: 'postgresql://me:hunter2@db/kb', query: SELECT 1}}",
        "{sql: {url: host=db password=hunter2, query: SELECT 1}}",
        "{sql: {url_env: 'mysql://me:hunter2@db/kb', query: SELECT 1}}",
        "{sql: 'mysql://me:hunter2@db/kb'}",
        "{dataset: {name: owner/kb, token_env: hf_hunter2}}",
        "{git: 'https://me:hunter2@example.org/kb.git'}",
        "{web: {urls: 'https://me:hunter2@example.org', crawl: 'https://hunter2@example.org'}}",
        "{deeplake: 'al://me:hunter2@lake/kb'}",
    ],
)
def test_a_pasted_password_of_a_source_is_not_echoed(tmp_path: Path, source: str) -> None:
    found = faults(tmp_path, f"sources: [{source}, {{fles: docs}}]\n")
    assert any("did you mean 'files'" in line for line in found)
    assert "hunter2" not in "\n".join(found)


def test_values_without_a_file() -> None:
    with pytest.raises(ConfigError, match="wizard: sources: missing"):
        check_pipeline({}, "wizard")


def all_settings() -> list[type[Settings]]:
    for module in pkgutil.walk_packages(domainforge.__path__, "domainforge."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[Settings]] = []
    open_classes = [Settings]
    while open_classes:
        subclasses = open_classes.pop().__subclasses__()
        found += subclasses
        open_classes += subclasses
    return [c for c in found if c.__module__.startswith("domainforge.")]


def test_every_field_of_every_config_is_described_and_closed() -> None:
    classes = all_settings()
    assert {Pipeline.__name__, "TrainConfig", "PromptHeader"} <= {c.__name__ for c in classes}
    for config in classes:
        assert config.model_config["extra"] == "forbid", config
        assert config.model_config["frozen"] is True, config
        assert config.__doc__, config
        for name, info in config.model_fields.items():
            assert info.description, f"{config.__name__}.{name} has no description"
            assert info.description.strip().endswith((".", ")")), f"{config.__name__}.{name}"
