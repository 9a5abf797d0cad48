"""Lists every message and help text of the package."""

from tests.words import messages

for place, text in messages():
    print(f"{place}: {text}")
