"""Signs in once with the Python implementation's own client and a key of gpg's: sign_in_with_gpg.py URL HOME FINGERPRINT"""

import sys
from pathlib import Path

import yaml
from capauth.login import do_login

url, home, fingerprint = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
(home / "profile.yml").write_text(yaml.safe_dump({"fingerprint": fingerprint, "claims": {}}), encoding="utf-8")
result = do_login(url, base_dir=home)
assert result["fingerprint"].upper() == fingerprint.upper(), result
print(result["fingerprint"])
