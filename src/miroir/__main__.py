"""`python -m miroir`, the same as the console script."""

from miroir.cli import main

if __name__ == "__main__":
    main()
