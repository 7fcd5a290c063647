-- What a CapAuth installation remembers. Nothing here is a name or an address of a person: fingerprints are stored
-- as their 20 or 32 bytes, whose order is the order of their text; times are seconds since 1970.

-- One row: what the installation knows of itself, and its counters.
CREATE TABLE installation (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    -- Changing it ends every session. Random, so that another installation has another one.
    epoch            INTEGER NOT NULL,
    -- The installation's own secret, sealed under the operator's master key, which can so be replaced.
    sealed_secret    BLOB,
    -- Proves that the secret is the one this database was made with.
    master_key_check BLOB,
    -- The last revision given to any key. One counter for all, so that a key that is erased and enrols again never
    -- carries a revision it carried before.
    last_revision    INTEGER NOT NULL,
    -- The generation with which a new identity begins: later than any that an erased identity ended with, so that
    -- tokens of the erased one stay worthless if its key enrols again.
    first_generation INTEGER NOT NULL,
    -- How many rows `keys` has; counting them takes long when there are many.
    enrolled_keys    INTEGER NOT NULL
) STRICT;

INSERT INTO installation VALUES (1, 1 + (random() & 0xFFFFFFFFFFFFF), NULL, NULL, 0, 0, 0);

CREATE TABLE identities (
    id         INTEGER PRIMARY KEY,
    sub        BLOB NOT NULL UNIQUE,
    user_name  TEXT UNIQUE,
    approved   INTEGER NOT NULL CHECK (approved IN (0, 1)),
    suspended  INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    generation INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
    id                 INTEGER PRIMARY KEY,
    fingerprint        BLOB NOT NULL UNIQUE,
    identity_id        INTEGER NOT NULL REFERENCES identities (id),
    signing_keys       BLOB NOT NULL,
    certificate_digest BLOB NOT NULL,
    revision           INTEGER NOT NULL,
    enrolled_at        INTEGER NOT NULL,
    revoked_at         INTEGER,
    revoked_by         TEXT CHECK (revoked_by IN ('administrator', 'owner')),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) STRICT;

-- Written often, and so apart from the keys: a small row here instead of a large one there.
CREATE TABLE last_logins (
    key_id INTEGER PRIMARY KEY REFERENCES keys (id) ON DELETE CASCADE,
    at     INTEGER NOT NULL
) STRICT;

CREATE INDEX keys_by_identity ON keys (identity_id);

-- Groups that an administrator gave to an identity.
CREATE TABLE grants (
    identity_id INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    PRIMARY KEY (identity_id, name)
) STRICT, WITHOUT ROWID;

-- Subs that no longer belong to an identity and that nobody may get again, as keyed hashes like `tombstones`.
CREATE TABLE reserved_subs (
    hash BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Erased keys that may not come back, as keyed hashes of their fingerprints.
CREATE TABLE tombstones (
    hash BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Keys with which this server ever signed challenges: they are no identities.
CREATE TABLE server_keys (
    fingerprint BLOB PRIMARY KEY
) STRICT;

CREATE TABLE token_keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    purpose    TEXT NOT NULL,
    kid        TEXT NOT NULL,
    algorithm  TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (purpose, kid)
) STRICT;

CREATE TABLE revoked_tokens (
    jti_hash BLOB PRIMARY KEY,
    expires  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires);

-- The feed. An entry is written in the transaction that does what it tells.
CREATE TABLE revocations (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL CHECK (kind IN ('token', 'generation', 'key')),
    -- A token's hash, an identity's sub, or a key's fingerprint.
    subject      BLOB NOT NULL,
    -- A token's expiry or an identity's generation.
    number       INTEGER,
    -- Set on what tells of an erased key: it is forgotten too, once every reader of the feed has had time.
    erased       INTEGER NOT NULL DEFAULT 0 CHECK (erased IN (0, 1)),
    forget_after INTEGER
) STRICT;

CREATE INDEX revocations_by_subject ON revocations (subject);
CREATE INDEX revocations_to_forget ON revocations (forget_after) WHERE forget_after IS NOT NULL;
CREATE INDEX revocations_erased ON revocations (id) WHERE erased = 1 AND forget_after IS NULL;
