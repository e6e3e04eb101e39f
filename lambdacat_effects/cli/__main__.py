"""`python -m lambdacat_effects.cli`."""

import sys

from lambdacat_effects.cli import main

sys.exit(main())
