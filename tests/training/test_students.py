import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from domainforge.errors import TrainingError
from domainforge.training.students import (
    find_student,
    identify_student,
    load_fast_tokenizer,
    load_model,
    load_tokenizer,
)


def ignore(text: str) -> None:
    pass


@pytest.fixture
def student(tiny_student: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "students" / "mine"
    shutil.copytree(tiny_student, folder)
    return folder


@pytest.mark.parametrize("name", ["students/mine", "./students/mine", "{project}/students/mine"])
def test_a_folder_is_found_in_the_project_or_by_its_whole_path(
    student: Path, tmp_path: Path, name: str
) -> None:
    found = find_student(name.format(project=tmp_path), tmp_path, ignore)
    assert found.resolve() == student


@pytest.mark.parametrize("name", ["nothing", "./nothing", "a/b/c", "/nowhere/at/all"])
def test_an_unknown_name_says_what_is_wanted(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError, match="neither 'embedded', nor a folder"):
        find_student(name, tmp_path, ignore)


def test_a_folder_without_a_model_is_not_asked_of_the_hub(tmp_path: Path) -> None:
    (tmp_path / "students" / "empty").mkdir(parents=True)
    said: list[str] = []
    with pytest.raises(TrainingError, match=r"config\.json"):
        find_student("students/empty", tmp_path, said.append)
    assert said == []


@pytest.mark.parametrize("name", ["nobody/nothing", "not a/hub id"])
def test_a_hub_id_that_cannot_be_had(tmp_path: Path, name: str) -> None:
    said: list[str] = []
    with pytest.raises(TrainingError, match=f"{name!r} can't be had from the Hub") as caught:
        find_student(name, tmp_path, said.append)
    assert "name a local folder" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert name in said[0]


def test_a_hub_that_does_not_answer(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from domainforge.training.students import find_student\n"
        "from domainforge.errors import TrainingError\n"
        "try:\n"
        "    find_student('nobody/nothing', Path(), print)\n"
        "except TrainingError as error:\n"
        "    print(error)\n"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path),
    }
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=60
    )
    assert "'nobody/nothing' can't be had from the Hub" in done.stdout
    assert done.returncode == 0


def test_weights_that_can_run_code_are_refused(student: Path) -> None:
    (student / "model.safetensors").rename(student / "pytorch_model.bin")
    with pytest.raises(TrainingError, match=r"has no \*\.safetensors"):
        load_model(student)


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.safetensors", b"cut off"), ("config.json", b'{"model_type": "bert-of-nowhere"}')],
)
def test_a_broken_model_is_named(student: Path, name: str, content: bytes) -> None:
    (student / name).write_bytes(content)
    with pytest.raises(TrainingError, match="can't be loaded as a causal language model"):
        load_model(student)


def test_a_download_cut_short_is_named(student: Path) -> None:
    weights = student / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(TrainingError, match="can't be loaded"):
        load_model(student)


def test_the_identity_changes_with_a_weight_and_with_the_tokenizer_only(student: Path) -> None:
    import torch

    first = identify_student(student)
    (student / "README.md").write_text("Notes.")
    assert identify_student(student) == first
    model = load_model(student, device="cpu")
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] += 1e-3
    model.save_pretrained(student)
    second = identify_student(student)
    assert second != first
    (student / "chat_template.jinja").write_text("{{ messages }}")
    assert identify_student(student) not in (first, second)


def test_the_identity_of_a_snapshot_is_its_revision(student: Path) -> None:
    snapshot = student.parent / "snapshots" / "0a1b2c"
    snapshot.parent.mkdir()
    student.rename(snapshot)
    assert identify_student(snapshot) == "revision:0a1b2c"


def test_tokenizers_that_cannot_be_used_are_refused(student: Path) -> None:
    settings = student / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"eos_token"', '"no_token"'))
    with pytest.raises(TrainingError, match="no end token"):
        load_tokenizer(student)
    (student / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"no tokenizer\.json"):
        load_fast_tokenizer(student)


def test_a_tokenizer_without_a_pad_token_pads_with_its_end(student: Path) -> None:
    settings = student / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"pad_token"', '"no_token"'))
    tokenizer = load_tokenizer(student)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def test_the_fast_tokenizer_gives_the_same_ids(student: Path) -> None:
    text = "The keeper <|im_end|> rings\nthe béll."
    fast = load_fast_tokenizer(student).encode(text, add_special_tokens=False).ids
    assert fast == load_tokenizer(student)(text, add_special_tokens=False)["input_ids"]


@pytest.mark.slow
def test_the_embedded_student_is_dequantised_once_and_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from domainforge.evaluation.scoring import generate_answers, question_prompt

    monkeypatch.setenv("DOMAINFORGE_CACHE", str(tmp_path))
    said: list[str] = []
    folder = find_student("embedded", tmp_path, said.append)
    assert len(said) == 1
    assert folder.parent == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    assert find_student("embedded", tmp_path, said.append) == folder
    assert len(said) == 1
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    prompt = question_prompt("What is the capital of France?", tokenizer)
    (answer,) = generate_answers(model, tokenizer, [prompt], lambda _: None, max_new_tokens=8)
    assert len(answer) > 3
