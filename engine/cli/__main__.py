"""`python -m engine.cli` is `pedesis`."""

from engine.cli import main

if __name__ == "__main__":
    main()
