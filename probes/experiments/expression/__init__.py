"""Said, narrated, voiced, shown, carried: what is learned from one, read on the others."""
