"""`python -m noburn_cli` is `noburn`."""

import sys

from noburn_cli.main import main

sys.exit(main())
