"""The sparse-attention methods in NumPy, written from the papers, without a look at ours.

A method is a class: `choose(view)` gives, at a layer that chooses, one list of candidates a set; every candidate list
says which positions are forced and what the others are worth. Everything in double precision.
"""

import numpy as np


class View:
    """One layer of one step: q [heads, dim], k and v [kv_heads, kv_len, dim], prompt_len."""

    def __init__(self, query, k, v, prompt_len):
        self.q, self.k, self.v = (x.astype(np.float64) for x in (query, k, v))
        self.prompt_len, self.kv_len = prompt_len, k.shape[1]
        self.n_heads, self.n_kv_heads = query.shape[0], k.shape[0]
        self.group = self.n_heads // self.n_kv_heads

    def logits(self):
        """[heads, kv_len]: scaled dot products; query head h reads KV head h // group."""
        keys = np.repeat(self.k, self.group, axis=0)
        return np.einsum("hd,hnd->hn", self.q, keys) / np.sqrt(self.q.shape[1])

    def weights(self):
        """[heads, kv_len]: softmax."""
        logits = self.logits()
        e = np.exp(logits - logits.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def output(self, positions_of_head):
        """[heads, dim]: attention over each head's positions alone."""
        logits, out = self.logits(), []
        for head, positions in enumerate(positions_of_head):
            e = np.exp(logits[head, positions] - logits[head, positions].max())
            out.append(e / e.sum() @ self.v[head // self.group, positions])
        return np.stack(out)

    def shared(self, sharing):
        """Lists of the heads that share a set."""
        if sharing == "all":
            return [list(range(self.n_heads))]
        size = 1 if sharing == "head" else self.group
        return [list(range(h, h + size)) for h in range(0, self.n_heads, size)]


class Choice:
    """A set: forced positions, then the `count` of highest value among `candidates`."""

    def __init__(self, forced, candidates, values, count):
        self.forced, self.candidates = list(forced), np.asarray(candidates, dtype=int)
        self.values, self.count = np.asarray(values, dtype=np.float64), count


def positions_of(budget, kv_len):
    """A budget in positions or, "10%", a share of kv_len."""
    if budget.endswith("%"):
        return max(1, min(kv_len, int(np.floor(float(budget[:-1]) * kv_len / 100))))
    return min(kv_len, int(budget))


def tidal(view, budget="64", sharing="head", sinks=0, recent=0):
    """TidalDecode: top-k by scaled logit; shared sets by the sum of the heads' softmax weights."""
    size = positions_of(budget, view.kv_len)
    forced = [*range(min(sinks, size)), *range(view.kv_len - min(recent, size - min(sinks, size)), view.kv_len)]
    rest = [p for p in range(view.kv_len) if p not in set(forced)]
    values = view.logits() if sharing == "head" else view.weights()
    return [Choice(forced, rest, values[heads].sum(0)[rest], size - len(forced)) for heads in view.shared(sharing)]


def kascade(view, budget="paper", sharing="group"):
    """Kascade's anchors: the group's post-softmax weights summed, max(128, 10 %) positions a KV head."""
    size = max(128, int(0.1 * view.kv_len)) if budget == "paper" else positions_of(budget, view.kv_len)
    size = min(size, view.kv_len)
    weights = view.weights()
    return [Choice([], range(view.kv_len), weights[heads].sum(0), size) for heads in view.shared(sharing)]


def omnikv(view, budget="64", sharing="all"):
    """OmniKV's filters: the largest logit of all heads, prompt positions only; generated ones always."""
    size = min(positions_of(budget, view.prompt_len), view.prompt_len)
    generated, logits = range(view.prompt_len, view.kv_len), view.logits()
    return [Choice(generated, range(view.prompt_len), logits[heads].max(0)[: view.prompt_len], size)
            for heads in view.shared(sharing)]


def lessismore(view, budget="64", sharing="all"):
    """LessIsMore: sinks and recent share, then the heads' tops united rank by rank. Returns sets, ties decided."""
    size = positions_of(budget, view.kv_len)
    share = size // 4
    sinks = 4 if share > 4 else 0
    recent, voted = share - sinks, size - share
    logits, sets = view.logits(), []
    for heads in view.shared(sharing):
        middle = np.arange(sinks, view.kv_len - recent)
        ranked = [middle[np.argsort(-logits[h, middle], kind="stable")] for h in heads]
        union = []
        for rank in range(len(middle)):
            for order in ranked:
                if len(union) < voted and order[rank] not in union:
                    union.append(int(order[rank]))
        sets.append([*range(sinks), *range(view.kv_len - recent, view.kv_len), *union])
    return sets


def quest_bounds(view, page=16):
    """[heads, pages]: sum over channels of max(q * smallest, q * largest key of the page), scaled."""
    bounds = []
    for begin in range(0, view.kv_len, page):
        keys = np.repeat(view.k[:, begin : begin + page], view.group, axis=0)
        bounds.append(np.maximum(view.q * keys.min(1), view.q * keys.max(1)).sum(-1))
    return np.stack(bounds, -1) / np.sqrt(view.q.shape[1])


def quest(view, budget="64", sharing="head", page=16):
    """Quest: the page being written, and the pages of the highest bounds."""
    n_pages = -(-view.kv_len // page)
    size = positions_of(budget, view.kv_len)
    wanted = n_pages if size == view.kv_len else max(1, size // page)
    current = range((n_pages - 1) * page, view.kv_len)
    bounds, others = quest_bounds(view, page), np.arange((n_pages - 1) * page)
    return [Choice(current, others, bounds[heads].sum(0)[others // page], (wanted - 1) * page)
            for heads in view.shared(sharing)]


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def unrotated(x, positions, theta):
    """Vectors [..., positions, dim] before rotary embedding: halves of a vector are the parts of its pairs."""
    half = x.shape[-1] // 2
    angle = np.asarray(positions)[:, None] * theta ** (-np.arange(half) / half)
    a, b, cosine, sine = x[..., :half], x[..., half:], np.cos(angle), np.sin(angle)
    return np.concatenate([a * cosine + b * sine, b * cosine - a * sine], -1)


def raw_view(view, theta):
    """The same layer and step before rotary embedding."""
    query = unrotated(view.q[:, None], [view.kv_len - 1], theta)[:, 0]
    return View(query, unrotated(view.k, np.arange(view.kv_len), theta), view.v, view.prompt_len)


class TokenSelect:
    """TokenSelect at one layer, over its steps: a soft vote of all heads, and the selection cache."""

    def __init__(self, budget, threshold, theta=None):
        """theta: votes by products from before the rotation with this base; None: by those of the cache."""
        self.budget, self.threshold, self.theta, self.query, self.voted = budget, threshold, theta, None, None

    def choose(self, view):
        """(whether the cache served, Choice): first, last and voted positions as 128 : 512 : 2048."""
        weights = view.weights
        if self.theta is not None:
            view, weights = raw_view(view, self.theta), lambda: softmax(view.logits() * np.sqrt(view.q.shape[1]))
        size = positions_of(self.budget, view.kv_len)
        first, last = size * 128 // 2688, size * 512 // 2688
        forced = [*range(first), *range(view.kv_len - last, view.kv_len)]
        query = view.q.ravel()
        if self.query is not None and size < view.kv_len:
            cosine = query @ self.query / np.linalg.norm(query) / np.linalg.norm(self.query)
            if cosine >= self.threshold:
                return True, forced
        self.query = query
        middle = np.arange(first, view.kv_len - last)
        return False, Choice(forced, middle, weights().sum(0)[middle], size - len(forced))


def window(view, budget="64", sinks=4):
    """The first `sinks` and the last positions."""
    size = positions_of(budget, view.kv_len)
    return [[*range(min(sinks, size)), *range(view.kv_len - (size - min(sinks, size)), view.kv_len)]]
