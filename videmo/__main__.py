"""python -m videmo"""

from videmo.cli import main

main()
