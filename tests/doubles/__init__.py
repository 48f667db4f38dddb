"""Stand-ins for databases that cannot run on a developer's machine: servers with the real wire protocol."""
