"""What two people feel, read from the words of each: the other's emotion, and one that is hidden.

Dialogues are read once, turn by turn (`reading`). They are crossed, so that what each factor adds
is told apart by least squares (`crossing`), names emotions in settings that were left out
(`left_out`), and gives directions whose cosines are known without noise (`alignment`).
"""
