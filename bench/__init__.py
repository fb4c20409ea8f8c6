"""hotqueue measured beside its peers and the floor. See README.md."""
