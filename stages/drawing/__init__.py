"""The figures, from tables that others made: nothing is computed here but what a figure needs."""
