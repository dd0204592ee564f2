"""``python -m diffpose_ros``: the same as the ``diffpose_ros`` command."""

import sys

from diffpose_ros.cli.main import main

sys.exit(main())
