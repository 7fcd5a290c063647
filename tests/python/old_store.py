"""Makes a key store as the Python service does: old_store.py FILE, with a list of what to do on standard input, in JSON.

Each is an object: `enroll` (a certificate) for a `fingerprint`, `approved` or not; `last_auth`: whether it signed in;
`linked_to`; or `sql` to run as it is. Prints what the store holds then.
"""

import json
import sqlite3
import sys
from pathlib import Path

from capauth.service.keystore import KeyStore

file = Path(sys.argv[1])
store = KeyStore(file)
for step in json.load(sys.stdin):
    if "sql" in step:
        database = sqlite3.connect(file, isolation_level=None)
        database.execute(step["sql"])
        database.close()
        continue
    fingerprint = step["fingerprint"]
    store.enroll(fingerprint, step["enroll"], approved=step.get("approved", True))
    if step.get("last_auth"):
        store.update_last_auth(fingerprint)
    if "linked_to" in step:
        # No version that is out writes this column, but it is read.
        database = sqlite3.connect(file, isolation_level=None)
        database.execute(
            "UPDATE enrolled_keys SET linked_to = ? WHERE fingerprint = ?", (step["linked_to"], fingerprint)
        )
        database.close()
print(json.dumps([key.model_dump() for key in store.list_keys()]))
store.close()
