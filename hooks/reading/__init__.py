"""Reading the residual stream: capture and pooling, in batches that fit, and what a text costs."""
