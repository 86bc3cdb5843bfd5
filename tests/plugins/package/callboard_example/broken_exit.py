"""Ends the process while it is imported, or tries to."""

import sys

sys.exit("the plugin gives up")
