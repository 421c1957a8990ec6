"""Fit a language to a text: count neighbouring pairs of words, and factorise their association."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import ArpackError, svds

from token_env.errors import SettingError
from token_env.languages.corpus import Corpus, make_corpus, read_corpus
from token_env.languages.language import MIN_VOCAB, Language, row_chunks, unit

VERSION = 1
DIMENSION = 16  # d
CONTEXT_POWER = 0.75  # exponent of the context distribution in the PMI (Levy, Goldberg and Dagan, TACL 2015)
ZERO_LENGTH = 1e-6  # vectors shorter than this share of the longest one count as zero
KAPPA_BOUNDS = (0.0, 50.0)
NEWTON_STEPS = 50


def from_file(path: str | Path, vocab_size: int) -> Language:
    """Fit a language to the `vocab_size` most frequent words of a UTF-8 text file.

    The file is read a piece at a time; a line of progress is printed on standard error if that takes long.

    Raises:
        SettingError: A file that is missing, empty, not text, or has too few words that can be used.
    """
    file = Path(path).expanduser()
    try:
        return _from_file(file.resolve(), file.stat().st_mtime_ns, vocab_size)
    except OSError as error:
        raise SettingError(f"cannot read the text {str(file)!r}: {error.strerror or error}.") from error


@lru_cache(maxsize=8)
def _from_file(file: Path, modified_ns: int, vocab_size: int) -> Language:
    try:
        return from_corpus(read_corpus(file, modified_ns), vocab_size)
    except SettingError as error:
        raise SettingError(f"{str(file)!r}: {error}") from error


def from_words(words: list[str], vocab_size: int) -> Language:
    """Fit a language to the `vocab_size` most frequent words of one text; see `from_corpus`."""
    return from_passages([words], vocab_size)


def from_passages(passages: Sequence[list[str]], vocab_size: int) -> Language:
    """Fit a language to the `vocab_size` most frequent words of several independent passages; see `from_corpus`."""
    return from_corpus(make_corpus(passages), vocab_size)


def from_corpus(corpus: Corpus, vocab_size: int) -> Language:
    """Fit a language to the `vocab_size` most frequent words of a corpus.

    The positive PMI of neighbouring pairs is factorised by a truncated SVD `U S Wᵀ`; `o = unit(W √S)` and
    `q = κ unit(U √S)`, with κ fitted by maximum likelihood. A word with a zero vector is replaced by the next most
    frequent one. Words of equal frequency are ordered by spelling. Pairs are counted within passages only.

    Args:
        corpus: The words.
        vocab_size: Number of words V.

    Raises:
        SettingError: Fewer than 2 tokens, or too few words that can be used; the message names a size that works.
    """
    if vocab_size < MIN_VOCAB:
        raise SettingError(f"vocab_size is {vocab_size}; a language has at least {MIN_VOCAB} tokens.")
    if not corpus.words:
        raise SettingError("the text has no words; type the path of a text that has some.")
    try:
        chosen = _choose_words(corpus, vocab_size)
    except _TooFewWordsError as error:
        raise SettingError(_suggestion(corpus, vocab_size, error.usable)) from None
    vocabulary = [corpus.words[index] for index in chosen.indices]
    log_unigram = np.log(chosen.frequency / chosen.frequency.sum())
    direction, output = unit(chosen.left), unit(chosen.right)
    context = fit_kappa(chosen.pairs, direction, output, log_unigram) * direction
    recipe = {
        "kind": "text",
        "version": VERSION,
        "vocab_size": vocab_size,
        "dimension": DIMENSION,
        "counts": _counts_digest(vocabulary, chosen.frequency, chosen.pairs),
    }
    return Language(log_unigram, context, output, output, tuple(vocabulary), recipe)


class _TooFewWordsError(Exception):
    """Fewer words than asked for have vectors."""

    def __init__(self, usable: int) -> None:
        super().__init__(usable)
        self.usable = usable


class _Chosen(NamedTuple):
    indices: NDArray[np.int64]  # [V] indices of the vocabulary's words, the most frequent first
    frequency: NDArray[np.float64]  # [V] their numbers of occurrences
    pairs: csr_array  # [V, V] how often word j follows word i
    left: NDArray[np.float64]  # [V, d] U √S
    right: NDArray[np.float64]  # [V, d] W √S


def _choose_words(corpus: Corpus, vocab_size: int) -> _Chosen:
    """Choose the most frequent words that have vectors.

    Raises:
        _TooFewWordsError: There are fewer than `vocab_size`.
    """
    counts = np.bincount(corpus.sequence[corpus.sequence >= 0], minlength=len(corpus.words))
    ranked = np.array(sorted(range(len(counts)), key=lambda index: (-counts[index], corpus.words[index])))
    while len(ranked) >= vocab_size:
        indices = ranked[:vocab_size]
        pairs = _pair_counts(corpus, indices)
        try:
            left, right = _factors(pairs)
        except ArpackError:  # the association is degenerate: all of its singular values are equal, say
            raise _TooFewWordsError(0) from None
        has_vector = np.minimum(_relative_lengths(left), _relative_lengths(right)) > ZERO_LENGTH
        if has_vector.all():
            return _Chosen(indices, counts[indices].astype(np.float64), pairs, left, right)
        ranked = np.concatenate([indices[has_vector], ranked[vocab_size:]])
    raise _TooFewWordsError(len(ranked))


def _suggestion(corpus: Corpus, vocab_size: int, usable: int) -> str:
    """Say how many words can be used, and name a size for which a language can be fitted, found by trying."""
    facts = (
        f"the text has {len(corpus.words)} distinct words, of which too few have vectors for vocab_size={vocab_size}"
    )
    if len(corpus.words) < vocab_size:
        facts = f"the text has {len(corpus.words)} distinct words, too few for vocab_size={vocab_size}"
    size = min(usable or vocab_size // 2, vocab_size - 1, len(corpus.words))
    while size >= MIN_VOCAB:
        try:
            _choose_words(corpus, size)
        except _TooFewWordsError as error:
            size = min(error.usable or size, 9 * size // 10)
        else:
            return f"{facts}. Type vocab_size={size}, or name a longer text."
    return f"{facts}, and no smaller size works either, because its words hardly repeat. Name a longer text."


def _pair_counts(corpus: Corpus, indices: NDArray[np.int64]) -> csr_array:
    """Count how often word j follows word i, sparse [V, V], for the words with these indices, [V]."""
    size = len(indices)
    rank = np.full(len(corpus.words) + 1, -1)  # the last entry is that of SEPARATOR
    rank[indices] = np.arange(size)
    ranks = rank[corpus.sequence]
    both = (ranks[:-1] >= 0) & (ranks[1:] >= 0)
    codes, counts = np.unique(ranks[:-1][both] * size + ranks[1:][both], return_counts=True)
    return csr_array(coo_array((counts.astype(np.float64), np.divmod(codes, size)), shape=(size, size)))


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
