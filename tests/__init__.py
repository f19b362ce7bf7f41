"""The tests. They keep what they compile, even where the environment forbids it.

The suite starts hundreds of processes, and five that import all tests: each would compile all of the code anew.
"""

import os
import sys

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
