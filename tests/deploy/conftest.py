"""Rules are modules of their own, which tests here import."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
