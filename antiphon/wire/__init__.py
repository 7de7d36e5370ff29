"""Wyoming over TCP, hardened: bounded frames, a server and a client with deadlines, discovery."""
