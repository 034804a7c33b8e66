"""Prints what is in the file. You will teach it more."""

with open("temperatures.csv") as file:
    for line in file:
        print(line.strip())
