"""``python -m likewise.cli``: the command line, as accelerate launch and torchrun start it."""

from likewise.cli import main

if __name__ == "__main__":
    main()
