"""What the tests stand on: a real server, the official clients, pictures, and a trainer that is hard to kill."""
