"""A page on this machine to read a text or a conversation token by token, and to steer replies."""
