"""How every target is: asked at intervals, each by itself."""
