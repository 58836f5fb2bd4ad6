"""What `cargo xtask bench data` compares with: the Python packages on the same texts. Prints one JSON object.

data.py rouge TEXTS SCORES      scores every pair of the texts of a JSON list, later ones as the hypothesis, with PyPI
                                `rouge` and `rouge-score`
data.py datasketch TEXTS FLAGS  finds near-duplicates among JSON texts, one a line, and writes for each whether it has one
data.py rensa TEXTS FLAGS       the same
"""

import json
import sys
import time

# As lancer's defaults: shingles of five words, and the bands that fit a threshold of 0.8 best.
SHINGLE_WORDS = 5
BANDS, ROWS = 9, 13


def rouge(texts, out):
    from rouge import Rouge
    from rouge_score.rouge_scorer import RougeScorer

    sys.setrecursionlimit(100_000)
    texts = json.load(open(texts))
    pairs = [(texts[new], texts[earlier]) for new in range(len(texts)) for earlier in range(new)]

    def by_rouge(hypothesis, reference, scorer=Rouge(metrics=["rouge-l"])):
        found = scorer.get_scores(hypothesis, reference)[0]["rouge-l"]
        return [found["r"], found["p"], found["f"]]

    def by_rouge_score(kind, use_stemmer):
        scorer = RougeScorer([kind], use_stemmer=use_stemmer)

        def score(hypothesis, reference):
            found = scorer.score(reference, hypothesis)[kind]
            return [found.recall, found.precision, found.fmeasure]

        return score

    scorers = {
        "rouge": by_rouge,
        "rouge_score": by_rouge_score("rougeL", False),
        "rouge_score_stemmed": by_rouge_score("rougeL", True),
        "rouge_score_sum": by_rouge_score("rougeLsum", False),
        "rouge_score_sum_stemmed": by_rouge_score("rougeLsum", True),
    }
    scores, seconds = {}, {}
    for name, scorer in scorers.items():
        start = time.perf_counter()
        scores[name] = [scorer(*pair) for pair in pairs]
        seconds[name] = time.perf_counter() - start
    json.dump(scores, open(out, "w"))
    return {"pairs": len(pairs), "seconds": seconds}


def shingles(text):
    words = text.split()
    width = min(SHINGLE_WORDS, len(words))
    return [" ".join(words[start : start + width]) for start in range(len(words) - width + 1)]


def near_duplicates(find, texts, out):
    texts = [json.loads(line) for line in open(texts)]
    start = time.perf_counter()
    sets = [shingles(text) for text in texts]
    shingling = time.perf_counter() - start
    flags = find(sets)
    seconds = time.perf_counter() - start
    json.dump([bool(flag) for flag in flags], open(out, "w"))
    return {"texts": len(texts), "shingling_seconds": shingling, "seconds": seconds, "alike": sum(map(bool, flags))}


def datasketch(sets):
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    hashes = list(MinHash.generator(([token.encode() for token in tokens] for tokens in sets), num_perm=BANDS * ROWS))
    with lsh.insertion_session() as session:
        for place, minhash in enumerate(hashes):
            session.insert(place, minhash)
    return [len(lsh.query(minhash)) > 1 for minhash in hashes]


def rensa(sets):
    from rensa import RMinHash, RMinHashLSH

    matrix = RMinHash.digest_matrix_from_token_sets(sets, num_perm=BANDS * ROWS, seed=1)
    lsh = RMinHashLSH(threshold=0.8, num_perm=BANDS * ROWS, num_bands=BANDS)
    return lsh.query_duplicate_flags_matrix_one_shot(matrix)


command, texts, out = sys.argv[1:]
if command == "rouge":
    print(json.dumps(rouge(texts, out)))
else:
    print(json.dumps(near_duplicates({"datasketch": datasketch, "rensa": rensa}[command], texts, out)))
