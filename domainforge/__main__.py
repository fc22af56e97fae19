"""`python -m domainforge` is the command line."""

from domainforge.cli import main

if __name__ == "__main__":
    main()
