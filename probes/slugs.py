r"""Turn any name into a folder name, and never two names into the same one.

1. Lower-case ASCII letters, digits and inner hyphens stay: "sad" -> "sad".
2. A space becomes an underscore: "at ease" -> "at_ease".
3. Every other byte of the UTF-8 text becomes % and two lower-case hexadecimal digits:
   "at_ease" -> "at%5fease", "Sad" -> "%53ad", "../x" -> "%2e%2e%2fx".
4. The first character is written that way too where a file system or a shell would stumble over the
   name: a leading hyphen, and the device names of Windows ("con" -> "%63on").
5. A result of more than 100 characters becomes its first 35, "~" and the SHA-256 of the name.

Contract: steps 1 to 4 can be undone, and "~" occurs in step 5 only, so two names share a slug only
if they share a SHA-256. A slug has no upper case (safe where case is folded), no separator, no dot
and no byte outside ASCII.
"""

import re
from hashlib import sha256

from hooks.errors import InvalidInput

MAX_LENGTH = 100

_PLAIN = re.compile(rb"[a-z0-9-]")
_WINDOWS_DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


def slug(name: str) -> str:
    """Return the folder name that stands for this name and no other.

    Raises
    ------
    InvalidInput
        If the name is empty or only white space.
    """
    if not name.strip():
        raise InvalidInput(f"expected a name with at least one visible character, got {name!r}")
    # surrogatepass: a half surrogate from a broken file is still a name of its own.
    data = name.encode("utf-8", errors="surrogatepass")
    text = "".join(_escaped(data[i : i + 1]) for i in range(len(data)))
    if text.startswith("-") or _WINDOWS_DEVICES.fullmatch(text):
        text = f"%{ord(text[0]):02x}{text[1:]}"
    if len(text) <= MAX_LENGTH:
        return text
    digest = sha256(data).hexdigest()
    return f"{text[: MAX_LENGTH - 1 - len(digest)]}~{digest}"


def _escaped(byte: bytes) -> str:
    if _PLAIN.match(byte):
        return byte.decode("ascii")
    return "_" if byte == b" " else f"%{byte[0]:02x}"
