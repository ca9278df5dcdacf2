"""What lets a run start anywhere and survive anything; the method itself is one folder up."""
