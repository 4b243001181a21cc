"""Where the files that ship with the project are: the adapter, problems, published results, sweeps, example runs.

An installed package carries them in `sdlm_core/assets`; in a checkout they lie in the folder `assets` beside
`sdlm_core`. Nothing else in the project works out a path from its own file's place.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def assets_folder() -> Path:
    """The folder of the shipped files, for example `assets_folder() / "benchmarks" / "problems.jsonl"`."""
    installed = _PACKAGE / "assets"
    return installed if installed.is_dir() else _PACKAGE.parent / "assets"


def app_folder() -> Path:
    """The folder that holds the app: `app.py` and the package `app`.

    In a checkout that is the checkout itself. A wheel carries it as `sdlm_theatre`, so that `app`, a name many projects
    use, is not installed as a package of its own.
    """
    installed = _PACKAGE.parent / "sdlm_theatre"
    return installed if installed.is_dir() else _PACKAGE.parent
