"""Runs SQL in a SQLite file: sqlite.py FILE SQL. Prints the rows, if there are any."""

import sqlite3
import sys

database = sqlite3.connect(sys.argv[1], isolation_level=None)
for row in database.execute(sys.argv[2]):
    print(*row)
database.close()
