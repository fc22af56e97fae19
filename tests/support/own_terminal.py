"""Makes its standard input the terminal of its session, so that Ctrl-C reaches it; then runs."""

import fcntl
import termios

from domainforge.cli import main

if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    main()
