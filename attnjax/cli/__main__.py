"""`python -m attnjax.cli` is the command `attnjax`."""

import sys

from attnjax.cli import main

sys.exit(main())
