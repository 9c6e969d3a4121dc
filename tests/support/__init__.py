"""What the tests stand on: private servers."""
