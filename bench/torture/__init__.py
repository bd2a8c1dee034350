"""What the server and hosts must withstand: short in CI, full by `make torture`."""
