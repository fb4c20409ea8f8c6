"""The tests, one file per file of hotqueue. Real servers and real processes; nothing is mocked."""
