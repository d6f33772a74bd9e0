"""The process in which workbooks are taken apart, since they come from strangers.

A sheet may name one cell in its last row and column, and so ask for more memory than there is; here memory and time
have an end that the kernel holds. It answers in lines of JSON: the name of each sheet, then its rows.
"""

import json
import resource
import sys
from typing import Any

from outcrop.documents.section import reason_of

MOST_BYTES = 2 * 2**30
"Address space of the process, the interpreter's included."
CPU_S = 60


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    import python_calamine

    try:
        with python_calamine.CalamineWorkbook.from_path(sys.argv[1]) as book:
            for name in book.sheet_names:
                _tell({"sheet": name})
                for row in book.get_sheet_by_name(name).iter_rows():
                    _tell({"row": [_cell(value) for value in row]})
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        _tell({"broken": reason_of(error)})


def _cell(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    main()
