"""``python -m animix``: the same as the command."""

from animix.cli.commands import main

main()
