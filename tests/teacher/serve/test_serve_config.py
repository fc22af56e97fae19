import pytest
from pydantic import TypeAdapter, ValidationError

from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.serve.arguments import shaping_arguments

URL = "http://127.0.0.1:8000/v1"
VLLM = {"serve": "vllm", "model": "org/model"}
LLAMACPP = {"serve": "llamacpp", "gguf": "model.gguf"}


def read(value: object) -> TeacherConfig:
    return TypeAdapter(TeacherConfig).validate_python(value)


def test_what_serves_what() -> None:
    vllm, llamacpp = read({**VLLM, "serve_args": ["--max-model-len", "8192"]}), read(LLAMACPP)
    assert (vllm.kind, vllm.resolved_form, vllm.is_llamacpp, vllm.slots) == (
        "vllm",
        "chat",
        False,
        None,
    )
    assert (llamacpp.kind, llamacpp.resolved_form, llamacpp.is_llamacpp, llamacpp.slots) == (
        "llamacpp",
        "chat",
        True,
        4,
    )
    assert read({**LLAMACPP, "concurrency": 32}).slots == 32
    assert (read("embedded").kind, read({"base_url": URL, "model": "m"}).kind) == (
        "embedded",
        "endpoint",
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"serve": "vllm"}, "`serve: vllm` needs `model`; `model` is missing"),
        ({"serve": "llamacpp"}, "`serve: llamacpp` needs `gguf`; `gguf` is missing"),
        ({"serve": "llama.cpp", "gguf": "m"}, "did you mean 'llamacpp'"),
        ({"serve": "llama-server", "gguf": "m"}, "did you mean 'llamacpp'"),
        ({"serve": "vLLM", "model": "m"}, "did you mean 'vllm'"),
        ({"serve": "sglang", "model": "m"}, "write `vllm` or `llamacpp`"),
        ({"gguf": "m.gguf"}, "takes no gguf: `gguf` is for `serve: llamacpp`"),
        (
            {"serve": "llamacpp", "model": "m"},
            "`model` is for an endpoint and `transport: langchain` and",
        ),
        ({**VLLM, "base_url": URL}, "takes no base_url: `base_url` is for an endpoint"),
        ({**VLLM, "api_key_env": "KEY"}, "takes no api_key_env"),
        ({**VLLM, "gguf": "m.gguf"}, "`serve: vllm` takes no gguf"),
        ({**VLLM, "threads": 2}, "`threads` is for the embedded teacher and `serve: llamacpp`"),
        ({**VLLM, "restarts": -1}, "greater than or equal to 0"),
        ({**VLLM, "ready_seconds": 0}, "greater than 0"),
        ({**VLLM, "serve_args": "--max-model-len 8192"}, "valid tuple"),
        ({**VLLM, "serve_args": [8192]}, "valid string"),
        ({**VLLM, "serve_args": ["8192"]}, "must begin with an option"),
        ({**VLLM, "serve_args": ["--port", "1"]}, "--port: DomainForge sets that itself"),
        ({**VLLM, "serve_args": ["--api_key=x"]}, "--api-key: DomainForge sets that itself"),
        ({**VLLM, "serve_args": ["--trust-remote-code"]}, "may not name code to run"),
        ({**VLLM, "serve_args": ["--trust_remote"]}, "may not name code to run"),
        ({**VLLM, "serve_args": ["--kv-transfer-config.x", "y"]}, "may not name code to run"),
        ({**LLAMACPP, "serve_args": ["--dtype", "half"]}, "`serve_args` is for `serve: vllm`"),
        ({"embedded": True, "serve": "vllm"}, "the embedded teacher takes no serve"),
        ({"embedded": True, "context_tokens": 512}, "takes no context_tokens"),
        ({"base_url": URL, "model": "m", "revision": "v1"}, "`revision` is for `serve: vllm`"),
    ],
)
def test_faults_are_explained(value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        read(value)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        read({"serve": "llamacpp", "model": "m", "revision": "v1"})
    for part in ("takes no model", "takes no revision", "`gguf` is missing"):
        assert part in str(caught.value)


def test_arguments_that_change_replies_are_told_from_others() -> None:
    arguments = ["--max-model-len", "8192", "--quantization=fp8", "--dtype", "half", "-q", "awq"]
    assert shaping_arguments(arguments) == ["--dtype half", "--quantization fp8", "-q awq"]
    assert shaping_arguments(["--hf_overrides.rope_theta", "-1"]) == ["--hf-overrides -1"]
    assert shaping_arguments(["--tensor-parallel-size", "2"]) == []
