import json
from pathlib import Path

import pytest
import yaml

from domainforge.errors import ExportError
from domainforge.stages import evaluate, export
from domainforge.stages.evaluate import EvaluateConfig
from domainforge.stages.export import ExportConfig
from tests.stages.students import SmallRun, mix_replay


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path) -> SmallRun:
    run = SmallRun(tmp_path_factory.mktemp("private-project"), tiny_student)
    run.add_rows()
    run.train(mix_replay(0.25))
    run.run(evaluate.STAGE, EvaluateConfig(open_book=False, max_answer_tokens=2))
    run.run(export.STAGE, ExportConfig())
    return run


@pytest.fixture
def folder(small: SmallRun) -> Path:
    return small.folder.stage_folder("export")


def test_the_model_loads_with_plain_transformers(folder: Path, small: SmallRun) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    student = load_file(small.inputs.folder("train") / "model.safetensors")
    assert all(bool((model.state_dict()[name] == value).all()) for name, value in student.items())
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    assert tokenizer.chat_template is not None


def test_the_model_folder_holds_nothing_else(folder: Path) -> None:
    assert sorted(path.name for path in (folder / "model").iterdir()) == [
        "README.md",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("chat", {"train": 10, "validation": 2, "test": 4}),
        ("text", {"train": 12, "test": 4}),
        ("preference", {"train": 3, "test": 1}),
    ],
)
def test_datasets_opens_each_kind(
    folder: Path, tmp_path: Path, kind: str, rows: dict[str, int]
) -> None:
    from datasets import load_dataset

    loaded = load_dataset(str(folder / "dataset"), kind, cache_dir=str(tmp_path))
    assert {name: part.num_rows for name, part in loaded.items()} == rows
    first = loaded["train"][0]
    assert first["kind"] == kind
    assert first["uri"].startswith("handbook/")
    assert ("messages" in first, "text" in first) == (kind == "chat", kind == "text")
    if kind == "chat":
        assert first["messages"][1]["role"] == "assistant"
    if kind == "preference":
        roles = [[m["role"] for m in first[name]] for name in ("prompt", "chosen", "rejected")]
        assert roles == [["user"], ["assistant"], ["assistant"]]
        assert first["chosen"][0]["content"] != first["rejected"][0]["content"] == "Nobody knows."
        assert first["prompt_name"] == "qa"


@pytest.mark.parametrize("part", ["model", "dataset"])
def test_cards_open_with_valid_yaml(folder: Path, part: str) -> None:
    _, header, body = (folder / part / "README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(header)
    assert "domainforge" in fields["tags"]
    assert body.startswith("# ")
    if part == "dataset":
        assert [entry["config_name"] for entry in fields["configs"]] == [
            "chat",
            "text",
            "preference",
        ]
        paths = [file["path"] for entry in fields["configs"] for file in entry["data_files"]]
        assert all((folder / "dataset" / path).exists() for path in paths)


def test_the_model_card_says_what_was_measured(folder: Path, small: SmallRun) -> None:
    card = (folder / "model" / "README.md").read_text()
    scores = json.loads((small.inputs.folder("evaluate") / "scores.json").read_text())
    assert scores["sentence"][1:] in card
    gains = [m["gain"] for m in scores["metrics"]]
    assert all(f"| {gain:+.3f} |" in card for gain in gains)
    assert "- documents: 4, of which 1 were held out" in card
    assert "- teacher: `teacher-7b`" in card
    assert "- prompts: qa 0123456789abcdef" in card
    assert "train chat 10, train preference 3, train replay 6, train text 12" in card
    share = (
        small.inputs.manifest("train").figures["replay_tokens_per_epoch"]
        / (small.inputs.manifest("train").figures["tokens_per_epoch"])
    )
    assert f"{share:.1%} of the tokens were general rows" in card
    assert "from `mine.jsonl`" in card


def test_the_dataset_card_tells_of_preferences_and_of_what_stayed_behind(folder: Path) -> None:
    card = (folder / "dataset" / "README.md").read_text()
    assert "`preference` rows are pairs of a better and a worse answer" in card
    assert "General rows that were mixed in (mine.jsonl) are not in here." in card
    for path in (folder / "dataset").rglob("*.parquet"):
        assert b"replay" not in path.read_bytes()


def test_no_private_path_or_address_leaves_in_text(
    folder: Path, small: SmallRun, tiny_student: Path
) -> None:
    texts = [p for p in folder.rglob("*") if p.suffix in {".md", ".json", ".jinja"}]
    assert len(texts) > 4
    project, student = str(small.context.project), str(tiny_student.parent)
    for path in texts:
        if path.name == "manifest.json":  # the run's own; not in the folders that are shared
            continue
        text = path.read_text()
        found = [word for word in (project, student, "10.1.2.3", "/srv/private") if word in text]
        assert found == [], path


def test_every_file_is_counted(small: SmallRun, folder: Path) -> None:
    result = small.run(export.STAGE, ExportConfig())
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json"]
    assert result.account.total == len(files)


@pytest.mark.slow
def test_a_student_without_weights_is_refused(tmp_path: Path, tiny_student: Path) -> None:
    run = SmallRun(tmp_path, tiny_student)
    run.train()
    run.run(evaluate.STAGE, EvaluateConfig(open_book=False, max_answer_tokens=2))
    (run.inputs.folder("train") / "model.safetensors").unlink()
    with pytest.raises(ExportError, match="--from train"):
        run.run(export.STAGE, ExportConfig())
