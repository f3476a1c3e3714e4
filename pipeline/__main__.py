"""`python -m pipeline`: the same as the console command."""

from pipeline.cli.main import main

main()
