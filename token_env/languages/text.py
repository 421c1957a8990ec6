"""Fit a language to a text: count words and neighbouring pairs, and factorise their association."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import svds

from token_env.errors import SettingError
from token_env.languages.language import MIN_VOCAB, Language, row_chunks, unit

VERSION = 1
DIMENSION = 16  # d
CONTEXT_POWER = 0.75  # exponent of the context distribution in the PMI (Levy, Goldberg and Dagan, TACL 2015)
ZERO_LENGTH = 1e-6  # vectors shorter than this share of the longest one count as zero
KAPPA_BOUNDS = (0.0, 50.0)
NEWTON_STEPS = 50
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def split_words(text: str) -> list[str]:
    """Return the lower-case words of a text: runs of letters, with apostrophes inside."""
    return WORD.findall(text.lower())


def from_file(path: str | Path, vocab_size: int) -> Language:
    """Fit a language to the `vocab_size` most frequent words of a UTF-8 text file.

    Raises:
        SettingError: A file that is missing, empty, not text, or has too few distinct words.
    """
    file = Path(path).expanduser()
    try:
        return _from_file(file.resolve(), file.stat().st_mtime_ns, vocab_size)
    except OSError as error:
        raise SettingError(f"cannot read the text {str(file)!r}: {error.strerror or error}.") from error


@lru_cache(maxsize=8)
def _from_file(file: Path, modified_ns: int, vocab_size: int) -> Language:  # noqa: ARG001  # cache key
    content = file.read_bytes()
    try:
        if b"\0" in content:
            raise ValueError("it holds a NUL byte")
        text = content.decode("utf-8-sig")
    except ValueError as error:
        raise SettingError(
            f"{str(file)!r} is not text ({error}); type text:PATH with the path of a UTF-8 text file."
        ) from error
    try:
        return from_words(split_words(text), vocab_size)
    except SettingError as error:
        raise SettingError(f"{str(file)!r}: {error}") from error


def from_words(words: list[str], vocab_size: int) -> Language:
    """Fit a language to the `vocab_size` most frequent words of one text; see `from_passages`."""
    return from_passages([words], vocab_size)


def from_passages(passages: Sequence[list[str]], vocab_size: int) -> Language:
    """Fit a language to the `vocab_size` most frequent words of several independent passages.

    The positive PMI of neighbouring pairs is factorised by a truncated SVD `U S Wᵀ`; `o = unit(W √S)` and
    `q = κ unit(U √S)`, with κ fitted by maximum likelihood. A word with a zero vector is replaced by the next most
    frequent one. Words of equal frequency are ordered by spelling.

    Args:
        passages: The words of each passage; pairs of neighbours are counted within passages only.
        vocab_size: Number of words V.

    Raises:
        SettingError: Fewer than 2 tokens, or too few distinct words in the passages.
    """
    if vocab_size < MIN_VOCAB:
        raise SettingError(f"vocab_size is {vocab_size}; a language has at least {MIN_VOCAB} tokens.")
    counts = Counter(chain.from_iterable(passages))
    if not counts:
        raise SettingError("the text has no words; type the path of a text that has some.")
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    neighbours = Counter(chain.from_iterable(map(pairwise, passages)))
    excluded: set[str] = set()
    while True:
        vocabulary = [word for word in ranked if word not in excluded][:vocab_size]
        if len(vocabulary) < vocab_size:
            smaller = f"Type vocab_size={len(vocabulary)} or less, or name" if len(vocabulary) >= MIN_VOCAB else "Name"
            raise SettingError(
                f"the text has {len(ranked)} distinct words, of which {len(vocabulary)} can be used; "
                f"{vocab_size} were asked for. {smaller} a longer text."
            )
        pairs = _pair_counts(neighbours, vocabulary)
        left, right = _factors(pairs)
        lengths = np.minimum(_relative_lengths(left), _relative_lengths(right))
        if (lengths > ZERO_LENGTH).all():
            break
        excluded.update(word for word, length in zip(vocabulary, lengths, strict=True) if length <= ZERO_LENGTH)
    frequency = np.array([counts[word] for word in vocabulary], dtype=np.float64)
    log_unigram = np.log(frequency / frequency.sum())
    direction, output = unit(left), unit(right)
    context = fit_kappa(pairs, direction, output, log_unigram) * direction
    recipe = {
        "kind": "text",
        "version": VERSION,
        "vocab_size": vocab_size,
        "dimension": DIMENSION,
        "counts": _counts_digest(vocabulary, frequency, pairs),
    }
    return Language(log_unigram, context, output, output, tuple(vocabulary), recipe)


def _pair_counts(neighbours: Counter[tuple[str, str]], vocabulary: list[str]) -> csr_array:
    """Count how often word j follows word i, sparse [V, V], with sorted rows and columns."""
    rank = {word: index for index, word in enumerate(vocabulary)}
    counts = sorted((rank[a], rank[b], n) for (a, b), n in neighbours.items() if a in rank and b in rank)
    table = np.array(counts, dtype=np.int64).reshape(-1, 3)
    size = len(vocabulary)
    return csr_array(coo_array((table[:, 2].astype(np.float64), (table[:, 0], table[:, 1])), shape=(size, size)))


def _factors(pairs: csr_array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return U √S and W √S of the positive PMI, [V, d] each."""
    size = pairs.shape[0]
    entries = pairs.tocoo()
    row_total = np.asarray(pairs.sum(axis=1)).ravel()
    column_weight = np.asarray(pairs.sum(axis=0)).ravel() ** CONTEXT_POWER
    rows, columns = entries.coords
    share = column_weight[columns] / max(column_weight.sum(), 1.0)
    pmi = np.log(entries.data / (row_total[rows] * share)) if entries.nnz else entries.data
    association = csr_array(coo_array((np.maximum(pmi, 0.0), (rows, columns)), shape=pairs.shape))
    rank = min(DIMENSION, size)
    if rank < size - 1:
        u, s, wt = svds(association, k=rank, v0=np.full(size, size**-0.5), tol=1e-10)
    else:
        u, s, wt = np.linalg.svd(association.toarray())
        u, s, wt = u[:, :rank], s[:rank], wt[:rank]
    order = np.argsort(-s, kind="stable")
    u, s, w = u[:, order], s[order], wt[order].T
    sign = np.sign(u[np.argmax(np.abs(u), axis=0), np.arange(rank)])  # the largest entry of each column is positive
    scale = sign * np.sqrt(s)
    padding = ((0, 0), (0, DIMENSION - rank))
    return np.pad(u * scale, padding), np.pad(w * scale, padding)


def _relative_lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1)
    return lengths / max(lengths.max(), np.finfo(np.float64).tiny)


def fit_kappa(
    pairs: csr_array,
    direction: NDArray[np.float64],
    output: NDArray[np.float64],
    log_unigram: NDArray[np.float64],
) -> float:
    """Return the κ that maximises the likelihood of the pairs under `log p(b|a) = log u_b + κ d_a·o_b - log Z_a`.

    The log-likelihood is concave in κ; it is maximised by Newton's method within KAPPA_BOUNDS.

    Args:
        pairs: Counts of neighbouring pairs, sparse [V, V].
        direction: Unit context vectors d_a, [V, d].
        output: Unit output vectors o_b, [V, d].
        log_unigram: Log-probabilities log u_b in nats, [V].
    """
    entries = pairs.tocoo()
    rows, columns = entries.coords
    observed = float(entries.data @ np.einsum("nd,nd->n", direction[rows], output[columns]))
    weight = np.asarray(pairs.sum(axis=1)).ravel()
    kappa = 1.0
    for _ in range(NEWTON_STEPS):
        mean, variance = 0.0, 0.0
        for chunk in row_chunks(len(log_unigram)):
            affinity = direction[chunk] @ output.T
            scores = kappa * affinity + log_unigram
            p = np.exp(scores - scores.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            first = np.einsum("nv,nv->n", p, affinity)
            second = np.einsum("nv,nv,nv->n", p, affinity, affinity)
            mean += float(weight[chunk] @ first)
            variance += float(weight[chunk] @ (second - first**2))
        step = (observed - mean) / max(variance, np.finfo(np.float64).tiny)
        updated = float(np.clip(kappa + np.clip(step, -2.0, 2.0), *KAPPA_BOUNDS))
        if abs(updated - kappa) < 1e-9:
            break
        kappa = updated
    return updated


def _counts_digest(vocabulary: list[str], frequency: NDArray[np.float64], pairs: csr_array) -> str:
    entries = pairs.tocoo()
    digest = hashlib.sha256("\n".join(vocabulary).encode())
    for array in (frequency, *entries.coords, entries.data):
        digest.update(np.asarray(array, dtype="<i8").tobytes())
    return digest.hexdigest()
