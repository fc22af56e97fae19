"""A causal language model that is whole but tiny, so that real training takes seconds."""

import random
from pathlib import Path

_TEXT = (
    "the a of in to and is was on at by for with from harbour ferry keeper lamp bell rope tide "
    "council mill bridge stone oil boat night morning winter sailor bread market street tower "
    "opens closes carries rings burns sells built founded repaired every year day hour"
)
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_PAD, _START, _END = "<|pad|>", "<|im_start|>", "<|im_end|>"


def make_tiny_student(folder: Path) -> Path:
    """Write a Llama of about 0.2 million parameters with its own BPE tokenizer; return the folder.

    The weights are random but the same every time.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=[_PAD, _START, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_sentences(400), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=_START,
        eos_token=_END,
        pad_token=_PAD,
        model_max_length=2048,
    )
    tokenizer.chat_template = _TEMPLATE
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=4,
                max_position_embeddings=2048,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                tie_word_embeddings=True,
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _sentences(count: int) -> list[str]:
    chance, words = random.Random(0), _TEXT.split()
    return [f"{' '.join(chance.choices(words, k=12)).capitalize()}." for _ in range(count)]
