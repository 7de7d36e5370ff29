"""Face 3, browsers and programs: HTTP and WebSockets on the same conversation as the other two."""
