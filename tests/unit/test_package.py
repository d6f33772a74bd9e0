"""What a wheel holds beside Python: by the patterns in pyproject.toml, every file of the package."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src" / "outcrop"


def test_a_wheel_holds_the_c_files_and_every_other_file_of_the_package() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["outcrop"]
    packed = {path for pattern in patterns for path in PACKAGE.glob(pattern) if path.is_file()}
    others = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }
    assert {"attention.c", "rows.c", "vector.h"} <= {path.name for path in packed}
    assert others == packed


def test_every_folder_with_python_in_it_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
