"""Imported by Python at its start: see `homes_in_postgresql.py`. A Python without Outcrop is left as it is."""

import importlib.util
import os

if os.environ.get("OUTCROP_TEST_DATABASE_SERVER") and importlib.util.find_spec("outcrop") is not None:
    import homes_in_postgresql

    homes_in_postgresql.install()
