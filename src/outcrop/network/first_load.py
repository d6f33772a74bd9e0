"""Imported where processes are forked from that load networks: has transformers do now what it does at its first load.

It makes several hundred regular expressions then, which takes a quarter of a second.
"""

from contextlib import suppress

with suppress(ImportError):  # a version of transformers that has no such table has nothing to prepare
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    get_checkpoint_conversion_mapping("llama")
