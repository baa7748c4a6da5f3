"""What a second training does to emotions: two models of one architecture, one set of vectors."""
