"""A text classifier that is whole but tiny: it looks for one word, and was trained on nothing."""

from collections.abc import Sequence
from pathlib import Path

_WORDS = "the a of bridge ferry engineer river town what who how is was it in with cost damned"


def make_tiny_classifier(
    folder: Path,
    labels: Sequence[str],
    word: str = "damned",
    *,
    several: bool = False,
    max_tokens: int = 64,
) -> Path:
    """Write a model of one layer that gives a text with the word its last label; return the folder.

    Its attention looks for the word, and only the word's embedding reaches the output.

    Args:
        folder: Where it is written.
        labels: What it tells apart.
        word: What it looks for, one of a short list.
        several: Whether each label is a question of its own.
        max_tokens: How much it can read at once.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import (
        DistilBertConfig,
        DistilBertForSequenceClassification,
        PreTrainedTokenizerFast,
    )

    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *_WORDS.split()]
    vocabulary = {known_word: at for at, known_word in enumerate(known)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DistilBertForSequenceClassification(
            DistilBertConfig(
                vocab_size=len(vocabulary),
                dim=8,
                hidden_dim=8,
                n_layers=1,
                n_heads=1,
                max_position_embeddings=max_tokens,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: at for at, label in enumerate(labels)},
                problem_type="multi_label_classification" if several else None,
            )
        )
    model = model.eval()
    _look_for(model, vocabulary[word], len(labels))
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=max_tokens,
    )
    fast.save_pretrained(folder)
    return folder


def _look_for(model: object, token: int, count: int) -> None:
    """Set the weights so that the last label's logit follows from whether the word is there."""
    import torch

    parameters = dict(model.named_parameters())  # type: ignore[attr-defined]
    with torch.no_grad():
        for name, value in parameters.items():
            if "LayerNorm" not in name and "layer_norm" not in name:
                value.zero_()
        words = parameters["distilbert.embeddings.word_embeddings.weight"]
        words[:, 0] = 1.0
        words[token, 0], words[token, 1] = -1.0, 1.0
        names = [name for name in parameters if name.endswith(("v_lin.weight", "out_lin.weight"))]
        for name in names:
            parameters[name].copy_(torch.eye(8) * 4)
        attention = "distilbert.transformer.layer.0.attention"
        parameters[f"{attention}.q_lin.bias"][0] = 10.0
        parameters[f"{attention}.k_lin.weight"][0, 1] = 10.0
        parameters["pre_classifier.weight"][0, 1] = 1.0
        parameters["classifier.weight"][count - 1, 0] = 8.0
        parameters["classifier.bias"][count - 1] = -4.0
