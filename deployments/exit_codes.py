"""With what the commands end, beside 0 and 1, whose meaning is each command's own."""

TROUBLE = 2
INTERRUPTED, TERMINATED = 130, 143  # as a shell counts them
