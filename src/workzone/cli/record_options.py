"""Options that both ways of serving share: what is put on record, what is kept, and what a picture may cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Journal = Annotated[
    Path | None,
    typer.Option(help="Directory of the journal, mode 0700: every answer is on record first."),
]
RetainDays = Annotated[int, typer.Option(min=1, help="How long the journal is kept.")]
KeepPictures = Annotated[str, typer.Option(help="deferred, sample=p or none.")]
Pictures = Annotated[Path | None, typer.Option(help="Directory of the kept pictures, mode 0700.")]
PictureDays = Annotated[int, typer.Option(min=1, help="How long pictures are kept.")]
Logs = Annotated[Path | None, typer.Option(help="Directory of the logs; by default standard error.")]
CacheMib = Annotated[int, typer.Option(min=0, help="Memory of the cache of answers; 0: none.")]
Backend = Annotated[
    str | None, typer.Option(help="Runtime of the network; by default the one that the bundle was made with.")
]
MaxPixels = Annotated[int, typer.Option(min=1, help="Of one picture.")]
