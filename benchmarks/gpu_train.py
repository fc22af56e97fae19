"""Claim: the train stage's own trainer keeps a GPU busy. Not run on a GPU yet.

Trains with `train_student`, the function that the train stage calls, at several settings, on the
shipped handbook repeated to a dose of tokens; the first steps warm up and are not measured, and
nothing is saved. Without `--model` the student is a Llama of about one billion parameters with
random weights, so that nothing is fetched.

Model FLOPs utilisation as in PaLM (arXiv 2204.02311, appendix B), of what training needs, not of
what a kernel happens to do: tokens/s x FLOPs per token / peak FLOPs, where FLOPs per token is
6 N + 12 L H T for full training and 4 N + 12 L H T for LoRA (frozen weights need no gradient of
their own). N: parameters that multiply (the embedding counts only where the output layer shares
it); L: layers; H: hidden size; T: tokens that a token's row holds, on average over tokens, since
packed rows don't see each other. The adapters themselves are left out.

    python benchmarks/gpu_train.py                       # eight settings
    python benchmarks/gpu_train.py --quick               # two settings, fewer tokens
    python benchmarks/gpu_train.py --tiny --quick        # on a CPU, to try the script itself
    python benchmarks/gpu_train.py --model ORG/MODEL --peak-flops 989e12
"""

import argparse
import gc
import json
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runs import print_table

from domainforge.files import shipped_folder
from domainforge.training.config import Mixture, TrainConfig
from domainforge.training.render import render_row
from domainforge.training.runtime import prepare_runtime
from domainforge.training.sft import train_student
from domainforge.training.students import choose_device, find_student, load_tokenizer

WARM_STEPS = 3
H100_BF16_DENSE = 989e12


@dataclass(frozen=True)
class Setting:
    """One way to train."""

    method: str
    sequence_tokens: int
    sequences_per_step: int


@dataclass(frozen=True)
class Measurement:
    """What one setting reached; None where it ran out of memory."""

    setting: Setting
    steps: int
    tokens_per_second: float | None
    flops_per_token: float
    mfu: float | None
    peak_memory_gib: float | None


class MeasuredError(Exception):
    """Raised at the last step, so that no time goes into checkpoints that nobody wants."""


class Clock:
    """Times the steps after the first few; handed to the trainer as its progress callback."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._start: tuple[float, int] | None = None
        self.tokens_per_second = 0.0
        self.steps = 0

    def __call__(self, step: int, steps: int, figures: Mapping[str, Any]) -> None:
        """Take the time at the end of the warm-up and of the last step."""
        if "tokens" not in figures:
            return
        if step == WARM_STEPS:
            self._start = (self._now(), figures["tokens"])
        if step == steps and self._start is not None:
            seconds = self._now() - self._start[0]
            self.steps = steps - WARM_STEPS
            self.tokens_per_second = (figures["tokens"] - self._start[1]) / seconds
            raise MeasuredError

    def _now(self) -> float:
        import torch

        if self._device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def main() -> None:
    """Measure every setting and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a folder or a Hub id; default: random weights, about 1 B")
    parser.add_argument("--tiny", action="store_true", help="a tiny model, for a CPU")
    parser.add_argument("--quick", action="store_true", help="two settings, fewer tokens")
    parser.add_argument("--tokens", type=int, help="tokens of each setting")
    parser.add_argument("--peak-flops", type=float, default=H100_BF16_DENSE, help="of the device")
    options = parser.parse_args()
    prepare_runtime()
    settings, tokens = choose_settings(tiny=options.tiny, quick=options.quick)
    with tempfile.TemporaryDirectory(prefix="gpu-train-") as work:
        base = (
            find_student(options.model, Path.cwd(), print)
            if options.model
            else make_student(Path(work) / "base", tiny=options.tiny)
        )
        done = [
            measure(base, Path(work), setting, options.tokens or tokens, options.peak_flops)
            for setting in settings
        ]
    report(done, options.model or ("tiny" if options.tiny else "random, 1 B"), options.peak_flops)


def choose_settings(*, tiny: bool, quick: bool) -> tuple[list[Setting], int]:
    """Return what is measured, and the tokens of each."""
    lengths = (64, 128) if tiny else (1024, 4096)
    methods, per_step = ("lora", "full"), (1, 2 if tiny else 8)
    settings = [
        Setting(method, length, count)
        for method in methods
        for length in lengths
        for count in per_step
    ]
    if quick:
        settings = [
            s
            for s in settings
            if (s.sequence_tokens, s.sequences_per_step)
            == (
                lengths[0],
                per_step[1],
            )
        ]
    # Enough for a dozen steps of the largest setting.
    largest = max(s.sequence_tokens * s.sequences_per_step for s in settings)
    return settings, largest * 12


def make_student(folder: Path, *, tiny: bool) -> Path:
    """Write a Llama with random weights, and a tokenizer trained on the handbook."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        handbook_texts(),
        trainers.BpeTrainer(
            vocab_size=1000,
            special_tokens=["<|end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>"
    )
    sizes: dict[str, int] = {
        "vocab_size": 1024 if tiny else 32768,
        "hidden_size": 64 if tiny else 2048,
        "intermediate_size": 128 if tiny else 8192,
        "num_hidden_layers": 2 if tiny else 16,
        "num_attention_heads": 4 if tiny else 32,
        "num_key_value_heads": 2 if tiny else 8,
    }
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(**sizes, max_position_embeddings=8192, tie_word_embeddings=True)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def handbook_texts() -> list[str]:
    """Return the paragraphs of the shipped handbook."""
    pages = sorted(shipped_folder("data").glob("handbook/*.md"))
    return [
        paragraph
        for page in pages
        for paragraph in page.read_text(encoding="utf-8").split("\n\n")
        if len(paragraph) > 80
    ]


def measure(base: Path, work: Path, setting: Setting, tokens: int, peak: float) -> Measurement:
    """Train at one setting until its tokens are through."""
    import torch

    device = choose_device()
    clock = Clock(device)
    config = TrainConfig(
        **asdict(setting), epochs=1, mixture=Mixture(documents=1, replay=0), checks_per_epoch=1
    )
    rows = [
        {"id": str(index), "kind": "text", "text": text, "messages": None}
        for index, text in enumerate(handbook_texts())
    ]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    fits = True
    try:
        train_student(rows, [], base, work / "out", config, 7, clock, max_tokens=tokens)
    except MeasuredError:
        pass
    except torch.OutOfMemoryError:
        fits = False
    memory = peak_memory(device)
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    flops = count_flops(base, rows, setting)
    if fits and not clock.tokens_per_second:
        raise SystemExit(f"{setting}: {tokens} tokens are too few for {WARM_STEPS + 1} steps")
    return Measurement(
        setting=setting,
        steps=clock.steps,
        tokens_per_second=round(clock.tokens_per_second, 1) if fits else None,
        flops_per_token=flops,
        mfu=clock.tokens_per_second * flops / peak if fits else None,
        peak_memory_gib=round(memory, 3) if fits else None,
    )


def peak_memory(device: str) -> float:
    """GiB that tensors took on the GPU at most; on a CPU, that the process ever took."""
    import torch

    if device == "cuda":
        return float(torch.cuda.max_memory_allocated()) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def count_flops(base: Path, rows: list[dict[str, Any]], setting: Setting) -> float:
    """FLOPs that a token needs, as the docstring of this script defines them."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    parameters = sum(p.numel() for p in model.parameters())
    if not config.tie_word_embeddings:
        parameters -= model.get_input_embeddings().weight.numel()
    tokenizer = load_tokenizer(base)
    lengths = [
        min(len(render_row(row, tokenizer).input_ids), setting.sequence_tokens) for row in rows
    ]
    held = sum(length**2 for length in lengths) / sum(lengths)
    attention = 12 * config.num_hidden_layers * config.hidden_size * held
    return float((6 if setting.method == "full" else 4) * parameters + attention)


def report(done: list[Measurement], model: str, peak: float) -> None:
    """Print the table, and one JSON object as the last line."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    rows = []
    for result in done:
        setting = result.setting
        place = [setting.method, str(setting.sequence_tokens), str(setting.sequences_per_step)]
        if result.tokens_per_second is None or result.mfu is None:
            rows.append([*place, "-", "out of memory", "-", "-"])
            continue
        speed = f"{result.tokens_per_second:,.0f}"
        memory = f"{result.peak_memory_gib:.2f}"
        rows.append([*place, str(result.steps), speed, f"{result.mfu:.2%}", memory])
    print(f"{model} on {device}, torch {torch.__version__}, peak {peak:.3g} FLOP/s\n")
    print_table(
        ["method", "sequence tokens", "per step", "steps", "tokens/s", "MFU", "peak GiB"], rows
    )
    figures = [asdict(result) for result in done]
    print(json.dumps({"model": model, "device": device, "peak_flops": peak, "settings": figures}))


if __name__ == "__main__":
    main()
