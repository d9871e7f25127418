"""Print the figures that README and the cards state: `python tests/figures.py NAME`.

The commands stand in figures/, one module a subject; `python tests/figures.py --help` lists them.
"""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    sys.path[:1] = [str(HERE / "figures"), str(HERE / "support")]
    runpy.run_path(str(HERE / "figures" / "__main__.py"), run_name="__main__")
