"""Whether weights can be fetched at all: asked first, since libraries try again and again where nobody answers."""

import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError, URLError

HUB = "https://huggingface.co"
ANSWER_SECONDS = 5.0


def reachable(url: str) -> bool:
    """Whether the server answers at all, with whatever; through a proxy where the environment names one."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=ANSWER_SECONDS).close()
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
    return True


def fetched_before(repository: str, filenames: Sequence[str]) -> Path | None:
    """The first of the files of a hub's repository that was fetched to this machine."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repository, filename) for filename in filenames)
    return next((Path(path) for path in found if isinstance(path, str)), None)
