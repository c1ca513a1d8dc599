"""Small real checkpoints with random weights: the true architectures with tokenizers of their own, made in a moment."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel
from transformers.utils.logging import disable_progress_bar

SENTENCES = {
    "ar": ("أين تقع المكتبة القديمة؟", "تقع المكتبة القديمة بجانب النهر."),
    "de": ("Wo steht die alte Bibliothek?", "Die alte Bibliothek steht am Fluss."),
    "el": ("Πού βρίσκεται η παλιά βιβλιοθήκη;", "Η παλιά βιβλιοθήκη βρίσκεται δίπλα στο ποτάμι."),
    "en": ("Where is the old library?", "The old library stands by the river."),
    "es": ("¿Dónde está la biblioteca antigua?", "La biblioteca antigua está junto al río."),
    "hi": ("पुराना पुस्तकालय कहाँ है?", "पुराना पुस्तकालय नदी के किनारे है।"),
    "ru": ("Где находится старая библиотека?", "Старая библиотека стоит у реки."),
    "th": ("ห้องสมุดเก่าอยู่ที่ไหน", "ห้องสมุดเก่าตั้งอยู่ริมแม่น้ำ"),
    "tr": ("Eski kütüphane nerede?", "Eski kütüphane nehrin kıyısında duruyor."),
    "vi": ("Thư viện cũ ở đâu?", "Thư viện cũ nằm bên bờ sông."),
    "zh": ("旧图书馆在哪里?", "旧图书馆在河边。"),
}
"""A question and its answer, in each of XQuAD-R's languages."""

WIDTH = 32
LONGEST = 64  # tokens
_SIZES = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def tiny_bert(
    folder: Path,
    *languages: str,
    seed: int = 0,
    as_sentence_transformer: bool = False,
    prompts: Mapping[str, str] | None = None,
    more: Sequence[torch.nn.Module] = (),
) -> Path:
    """Make a checkpoint of BERT's architecture with a WordPiece tokenizer.

    Args:
        folder: Where; it is created.
        *languages: The languages of `SENTENCES` that the tokenizer learns; by default all.
        seed: Of the weights.
        as_sentence_transformer: Save it with mean pooling and Normalize instead of as a raw transformer.
        prompts: The prompts that its configuration names, by their name.
        more: Modules between pooling and Normalize.

    Returns:
        The folder.
    """
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    normalizer, splitter = normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()
    words = _words(languages, normalizer, splitter)
    letters = {letter for word in words for letter in word}
    pieces = sorted({*words, *letters, *(f"##{letter}" for letter in letters)})
    vocabulary = {piece: i for i, piece in enumerate([*special, *pieces])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    torch.manual_seed(seed)
    config = BertConfig(**_SIZES, vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=LONGEST)
    _save(BertModel(config), PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names), folder)
    return _with_modules(folder, prompts, more) if as_sentence_transformer else folder


def tiny_xlm_roberta(
    folder: Path,
    *languages: str,
    seed: int = 0,
    as_sentence_transformer: bool = False,
    prompts: Mapping[str, str] | None = None,
    more: Sequence[torch.nn.Module] = (),
) -> Path:
    """Make a checkpoint of XLM-RoBERTa's architecture with a Unigram tokenizer; arguments as for `tiny_bert`."""
    tokenizer = unigram_tokenizer(*languages)
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        **_SIZES,
        vocab_size=len(tokenizer),
        max_position_embeddings=LONGEST + 2,  # XLM-R counts positions from the padding id + 1
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    _save(XLMRobertaModel(config), tokenizer, folder)
    return _with_modules(folder, prompts, more) if as_sentence_transformer else folder


def unigram_tokenizer(*languages: str) -> PreTrainedTokenizerFast:
    """A Unigram tokenizer with XLM-RoBERTa's special tokens that knows the words of `SENTENCES`."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    normalizer, splitter = normalizers.NFKC(), pre_tokenizers.Metaspace()
    words = _words(languages, normalizer, splitter)
    letters = Counter(letter for word in words.elements() for letter in word)
    counts, total = words + letters, words.total() + letters.total()
    pieces = [(piece, math.log(counts[piece] / total)) for piece in sorted(counts)]
    tokenizer = Tokenizer(models.Unigram([*((piece, 0.0) for piece in special), *pieces, ("<mask>", 0.0)], unk_id=3))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(zip(("cls_token", "pad_token", "sep_token", "unk_token"), special, strict=True))
    names |= {"bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def change_file(file: Path, at: int = -1) -> None:
    """Change one byte of a file."""
    content = bytearray(file.read_bytes())
    content[at] ^= 0x01
    file.unlink()  # a new inode, so that nobody takes it for the file that was read before
    file.write_bytes(content)


def change_json(file: Path, **values: object) -> None:
    """Set keys of a JSON file."""
    content = json.loads(file.read_text(encoding="utf-8")) | values
    file.unlink()
    file.write_text(json.dumps(content), encoding="utf-8")


def _words(
    languages: Sequence[str], normalizer: normalizers.Normalizer, splitter: pre_tokenizers.PreTokenizer
) -> Counter[str]:
    """How often each word stands in the sentences.

    The library's own trainers are not used: they give another vocabulary each time.
    """
    sentences = [sentence for code in languages or SENTENCES for sentence in SENTENCES[code]]
    return Counter(word for text in sentences for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))


def _save(model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    disable_progress_bar()
    tokenizer.model_max_length = LONGEST
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _with_modules(folder: Path, prompts: Mapping[str, str] | None, more: Sequence[torch.nn.Module]) -> Path:
    """Make the raw transformer in a folder a sentence-transformers checkpoint, in place."""
    modules = [Transformer(str(folder)), Pooling(WIDTH, "mean"), *more, Normalize()]
    SentenceTransformer(modules=modules, prompts=dict(prompts or {}), device="cpu").save(
        str(folder), create_model_card=False
    )
    return folder
