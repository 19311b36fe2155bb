"""`python -m tapeline`."""

import sys

from tapeline.cli import main

sys.exit(main())
