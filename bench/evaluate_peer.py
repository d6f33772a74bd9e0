"""The peer's process in `make bench-evaluate`: ROUGE-L by the package rouge-score, without its stemmer.

Runs in the peer's environment with a JSON file of answers and references, and answers with one line of JSON.
"""

import json
import sys
import time
from pathlib import Path

from rouge_score import rouge_scorer  # type: ignore[import-not-found]


def main() -> None:
    pairs = json.loads(Path(sys.argv[1]).read_text())
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    started = time.perf_counter()
    values = [scorer.score(reference, answer)["rougeL"].fmeasure for answer, reference in pairs]
    print(json.dumps({"seconds": time.perf_counter() - started, "values": values}))


if __name__ == "__main__":
    main()
