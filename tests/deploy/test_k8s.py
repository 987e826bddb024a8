from pathlib import Path
from .kustomize import build
from .rules import faults
from .world import World
K8S = Path(__file__).parents[2]/"deploy/k8s"
def test_x():
    for n in ("local","production"):
        f=faults(World(build(K8S/"overlays"/n)))
        print(n); print("\n".join(f))
    assert 0
