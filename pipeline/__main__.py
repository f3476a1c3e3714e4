"""`python -m pipeline`: the same as the console command."""

from pipeline.cli import main

main()
