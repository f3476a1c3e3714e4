"""datatrove's filters and formatters as steps of a recipe."""

import os

# Read when datatrove's log is imported: of what its classes say, errors belong on the terminal.
os.environ.setdefault("LOGURU_LEVEL", "ERROR")
