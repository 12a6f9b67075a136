"""What `tests/dns/run` is made of: servers and resolvers to be started, and the checks."""
