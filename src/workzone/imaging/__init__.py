"""From the bytes of a picture to the numbers a network reads, and pure degradations of pictures."""
