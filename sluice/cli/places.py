"""Files that a command is to write, checked before it begins."""

from __future__ import annotations

import os
from pathlib import Path

from sluice.errors import UserError


def check_written(path: Path, option: str, ending: str | None = None) -> None:
    """UserError unless a file of this name can be written: with the ending, in a folder that there is."""
    if ending is not None and path.suffix != ending:
        raise UserError(f"{path} does not end in {ending}", where=option, allowed=f"a name that ends in {ending}")
    if path.is_dir():
        raise UserError(f"{path} is a folder", where=option, next_step="name a file in it")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}", where=option, next_step=f"mkdir -p {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"{path} may not be written", where=option, next_step="name a place that you may write to")
