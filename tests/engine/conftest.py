"""The small bundle of the bundle tests, and its builders."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_spec = spec_from_file_location("bundle_builders", Path(__file__).parents[1] / "bundle" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_builders = module_from_spec(_spec)
_spec.loader.exec_module(_builders)

parts = _builders.parts
bundle_path = _builders.bundle_path
factory = _builders.factory
