"""Writing into the residual stream: what is added, where, and in which directions."""
