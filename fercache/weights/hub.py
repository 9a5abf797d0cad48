"""Whether weights can be fetched: checked first, since libraries keep retrying when a server does not answer."""

import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError, URLError

HUB = "https://huggingface.co"
ANSWER_SECONDS = 5.0


def reachable(url: str) -> bool:
    """Whether the server answers, with any status; through a proxy if the environment names one."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=ANSWER_SECONDS).close()
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
    return True


def fetched_before(repository: str, filenames: Sequence[str]) -> Path | None:
    """The first of these files of a hub repository that is in this machine's cache."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repository, filename) for filename in filenames)
    return next((Path(path) for path in found if isinstance(path, str)), None)
