"""Signs in with the Python implementation's own client: sign_in.py URL HOME

It makes its profile and keys itself, and signs as it does for people: with PGPy where there is no gpg (an inline
message, compressed), and with gpg (a detached signature) in the home that GNUPGHOME names. Ends with an error at the
first login that fails.
"""

import json
import subprocess
import sys
from pathlib import Path

import yaml
from capauth.authentik.verifier import canonical_nonce_payload
from capauth.login import do_login, load_cached_token
from capauth.models import Algorithm
from capauth.profile import init_profile
from capauth.sign_challenge import normalize_challenge, sign
import httpx

url, home = sys.argv[1], Path(sys.argv[2])
PASSPHRASE = "correct horse battery staple"
CLAIMS = {"name": "Zoë 🔑", "email": "zoë@example.org", "groups": ["a", "b"], "soul_blueprint": {"category": "sage", "a": 1.5}}


def check(result, base, name):
    """The client wrote down what it learnt, as it does for people."""
    token = load_cached_token(url, base_dir=base)
    assert token and token["access_token"] == result["access_token"], result
    assert token["oidc_claims"].get("name") == name, token["oidc_claims"]
    assert token["fingerprint"].upper() == result["fingerprint"].upper(), token


def profile_of(base, fingerprint):
    (base / "profile.yml").write_text(
        yaml.safe_dump({"fingerprint": fingerprint, "claims": CLAIMS}, allow_unicode=True), encoding="utf-8"
    )


for algorithm in (Algorithm.ED25519, Algorithm.RSA4096):
    base = home / algorithm.value
    profile = init_profile("Zoë", "zoe@example.org", PASSPHRASE, algorithm=algorithm, base_dir=base)
    profile_of(base, profile.key_info.fingerprint)
    for no_claims in (False, True):
        result = do_login(url, passphrase=PASSPHRASE, no_claims=no_claims, base_dir=base, use_gpg_keyring=False)
        check(result, base, None if no_claims else "Zoë 🔑")
        print(f"PGPy {algorithm.value}, {'no claims' if no_claims else 'claims'}")

subprocess.run(
    ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "Gpg <gpg@example.org>", "ed25519", "sign,cert", "never"],
    check=True,
    capture_output=True,
)
listing = subprocess.run(["gpg", "--with-colons", "--list-keys"], check=True, capture_output=True, text=True).stdout
fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))
base = home / "gpg"
base.mkdir()
profile_of(base, fingerprint)
check(do_login(url, base_dir=base), base, "Zoë 🔑")
print("gpg, claims")

# The challenge by copy and paste, as the clipboard tool signs it.
ask = {"fingerprint": fingerprint, "client_nonce": "AAECAwQFBgc="}
challenge = httpx.post(f"{url}/capauth/v1/challenge", json=ask).json()
text = canonical_nonce_payload(
    nonce=challenge["nonce"],
    client_nonce_echo=challenge["client_nonce_echo"],
    timestamp=challenge["timestamp"],
    service=challenge["service"],
    expires=challenge["expires"],
).decode()
pasted = normalize_challenge("\r\n" + text.replace("\n", "\r\n") + "\r\n")
body = {"fingerprint": fingerprint, "nonce": challenge["nonce"], "nonce_signature": sign(pasted, fingerprint)}
answer = httpx.post(f"{url}/capauth/v1/verify", json=body)
assert answer.status_code == 200, answer.text
assert json.loads(answer.text)["authenticated"] is True
print("clipboard")
